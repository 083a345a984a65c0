/* Bytes by owner and month, and what is written once a minute. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "control/accounts_internal.h"

/* What was taken from memory to be written; put back when it can't be. */
struct flush {
    struct accounts *accounts;
    struct stored_usage *usage;
    size_t count;
};

uint32_t accounts_month(uint64_t time)
{
    struct tm parts;
    time_t seconds = (time_t)time;
    if (!gmtime_r(&seconds, &parts))
        return 0;
    return (uint32_t)(parts.tm_year + 1900) * 100 + (uint32_t)parts.tm_mon + 1;
}

static struct usage_key key_of(const char *owner, uint32_t month)
{
    struct usage_key key;
    memset(&key, 0, sizeof key); /* what is between the members, too */
    snprintf(key.owner, sizeof key.owner, "%s", owner);
    key.month = month;
    return key;
}

static struct usage_entry *find(const struct accounts *accounts, const struct usage_key *key)
{
    struct usage_entry *entry;
    HASH_FIND(hh, accounts->usage, key, sizeof *key, entry);
    return entry;
}

/* Made if there is none; NULL: no memory. */
static struct usage_entry *ensure(struct accounts *accounts, const char *owner, uint32_t month)
{
    struct usage_key key = key_of(owner, month);
    struct usage_entry *entry = find(accounts, &key);
    if (entry)
        return entry;
    entry = calloc(1, sizeof *entry);
    if (!entry)
        return NULL;
    memcpy(&entry->key, &key, sizeof key);
    HASH_ADD(hh, accounts->usage, key, sizeof entry->key, entry);
    if (entry->hh.tbl)
        return entry;
    free(entry);
    return NULL;
}

void accounts_add_usage(struct accounts *accounts, const char *owner, uint64_t bytes)
{
    struct usage_entry *entry =
        bytes ? ensure(accounts, owner, accounts_month(accounts_now(accounts))) : NULL;
    if (!entry)
        return;
    entry->bytes += bytes;
    entry->unwritten += bytes;
}

uint64_t accounts_usage(const struct accounts *accounts, const char *owner)
{
    struct usage_key key = key_of(owner, accounts_month(accounts_now(accounts)));
    const struct usage_entry *entry = find(accounts, &key);
    return entry ? entry->bytes : 0;
}

/* --- Loading --- */

static int load_one(void *user, const struct stored_usage *usage)
{
    struct usage_entry *entry = ensure(user, usage->owner, usage->month);
    if (entry)
        entry->bytes = usage->bytes;
    return entry ? 0 : -1;
}

int accounts_load_usage(struct accounts *accounts, char *error, size_t error_size)
{
    snprintf(error, error_size, "out of memory"); /* load_one's */
    return store_load_usage(accounts->store, accounts_month(accounts_now(accounts)), load_one,
                            accounts, error, error_size);
}

static void remove_entry(struct accounts *accounts, struct usage_entry *entry)
{
    HASH_DEL(accounts->usage, entry);
    free(entry);
}

/* --- Writing --- */

static void free_flush(struct flush *flush)
{
    if (flush)
        free(flush->usage);
    free(flush);
}

static void put_back(struct flush *flush)
{
    for (size_t i = 0; i < flush->count; i++) {
        const struct stored_usage *usage = &flush->usage[i];
        struct usage_entry *entry = ensure(flush->accounts, usage->owner, usage->month);
        if (entry)
            entry->unwritten += usage->bytes;
    }
}

/* Months that are over, and written. */
static void forget_past(struct accounts *accounts)
{
    uint32_t month = accounts_month(accounts_now(accounts));
    struct usage_entry *entry, *after;
    HASH_ITER(hh, accounts->usage, entry, after)
    {
        if (entry->key.month < month && !entry->unwritten)
            remove_entry(accounts, entry);
    }
}

static void on_written(void *user, const char *error)
{
    struct flush *flush = user;
    struct accounts *accounts = flush->accounts;
    accounts->flush = NULL;
    if (error) {
        log_write(LOG_ERROR, LOG_FIELDS(LOG_TEXT("error", error)), "can't store the usage");
        put_back(flush);
    } else {
        forget_past(accounts);
    }
    free_flush(flush);
}

/* NULL: nothing is to be written, or no memory. */
static struct flush *gather(struct accounts *accounts)
{
    struct flush *flush = calloc(1, sizeof *flush);
    size_t most = HASH_COUNT(accounts->usage);
    if (flush && most)
        flush->usage = calloc(most, sizeof *flush->usage);
    if (!flush || !flush->usage) {
        free_flush(flush);
        return NULL;
    }
    flush->accounts = accounts;
    for (struct usage_entry *entry = accounts->usage; entry; entry = entry->hh.next) {
        struct stored_usage *usage = &flush->usage[flush->count];
        if (!entry->unwritten)
            continue;
        memcpy(usage->owner, entry->key.owner, sizeof usage->owner);
        usage->month = entry->key.month;
        usage->bytes = entry->unwritten;
        entry->unwritten = 0;
        flush->count++;
    }
    if (flush->count)
        return flush;
    free_flush(flush);
    return NULL;
}

static void write_usage(struct accounts *accounts, bool is_last)
{
    struct flush *flush = accounts->flush ? NULL : gather(accounts);
    if (!flush)
        return;
    int asked = store_add_usage(accounts->store, flush->usage, flush->count,
                                is_last ? NULL : on_written, flush);
    if (asked == STORE_OK && !is_last) {
        accounts->flush = flush;
        return;
    }
    if (asked != STORE_OK) {
        log_write(LOG_ERROR, LOG_FIELDS(LOG_TEXT("error", store_error_text(asked))),
                  "can't store the usage");
        put_back(flush);
    }
    free_flush(flush);
}

/* Which of them was used last isn't worth a second try. */
static void write_uses(struct accounts *accounts)
{
    size_t most = HASH_CNT(by_digest, accounts->tokens_by_digest), count = 0;
    struct stored_use *uses = most ? malloc(most * sizeof *uses) : NULL;
    if (!uses)
        return;
    for (struct token_entry *entry = accounts->tokens_by_digest; entry;
         entry = entry->by_digest.next) {
        if (!entry->is_used)
            continue;
        uses[count++] = (struct stored_use){entry->token->id, entry->last_used};
        entry->is_used = false;
    }
    int asked = count ? store_use_tokens(accounts->store, uses, count, NULL, NULL) : STORE_OK;
    if (asked)
        log_write(LOG_WARNING, LOG_FIELDS(LOG_TEXT("error", store_error_text(asked))),
                  "can't store when device tokens were used");
    free(uses);
}

void accounts_flush(struct accounts *accounts)
{
    accounts_forget_denied(accounts);
    write_usage(accounts, false);
    write_uses(accounts);
}

void accounts_flush_last(struct accounts *accounts)
{
    if (accounts->flush) { /* it is written, or lost with what made it fail */
        store_forget(accounts->store, accounts->flush);
        free_flush(accounts->flush);
        accounts->flush = NULL;
    }
    write_usage(accounts, true);
    write_uses(accounts);
}

void accounts_free_usage(struct accounts *accounts)
{
    while (accounts->usage)
        remove_entry(accounts, accounts->usage);
}
