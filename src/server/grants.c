#include "server/grants.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "control/accounts.h"
#include "net/timer.h"

/* Without memory an element isn't added (its table stays NULL); uthash would end the process. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#define WARN_PERCENT 80
/* Who moves nothing is looked at once in this time: quotas change, and months. */
#define JUDGE_TIME 1000000

struct grant_key {
    uint64_t token;
    char owner[129]; /* these two are zeroed beyond their ends */
    char login[JWT_JTI_MAX + 1];
};

struct entry {
    UT_hash_handle hh;
    struct grant_key key;
    struct grant *grant;
    uint64_t exhausted_for; /* microseconds */
    uint64_t unjudged;      /* the same, since it was looked at */
    bool was_warned, was_told;
    struct entry *next_revoked;
};

struct grants {
    struct timer timer; /* first */
    struct loop *loop;
    struct grants_host host;
    struct entry *entries;
    struct entry *revoked; /* until their tunnels are gone: what they move still counts */
    uint64_t ticked_at;
};

/* Every byte counts: the padding, too. */
static void make_key(const char *owner, const struct device_token *token, const char *login,
                     struct grant_key *ret_key)
{
    memset(ret_key, 0, sizeof *ret_key);
    ret_key->token = token ? token->id : 0;
    strncpy(ret_key->owner, owner, sizeof ret_key->owner - 1);
    if (!token)
        strncpy(ret_key->login, login, sizeof ret_key->login - 1);
}

/* --- Sums --- */

static bool sum(struct grants *grants, struct grant *grant)
{
    uint64_t bytes = atomic_exchange_explicit(&grant->bytes, 0, memory_order_relaxed);
    if (!bytes)
        return false;
    grants->host.add_usage(grants->host.user, grant->owner, bytes);
    if (grant->bytes_per_month)
        grants->host.add_usage(grants->host.user, grant->token_uuid, bytes);
    return true;
}

/* Percent of the month's bytes that are used, the token's or the account's, whichever is more. */
static unsigned used_percent(const struct grants *grants, const struct grant *grant)
{
    const struct grants_host *host = &grants->host;
    const uint64_t limits[] = {host->quota(host->user, grant->owner), grant->bytes_per_month};
    const char *const names[] = {grant->owner, grant->token_uuid};
    unsigned most = 0;
    for (size_t i = 0; i < 2; i++) {
        if (!limits[i])
            continue;
        uint64_t used = host->usage(host->user, names[i]);
        unsigned percent =
            used >= limits[i] ? 100 : (unsigned)((double)used * 100 / (double)limits[i]);
        if (percent > most)
            most = percent;
    }
    return most;
}

static void log_usage(const struct grant *grant, const char *message)
{
    log_write(LOG_WARNING,
              LOG_FIELDS(LOG_TEXT("owner", grant->owner), LOG_TEXT("token", grant->token_uuid)),
              "%s", message);
}

static void judge(struct grants *grants, struct entry *entry)
{
    struct grant *grant = entry->grant;
    unsigned percent = used_percent(grants, grant);
    bool is_over = percent >= 100, was_over = grant_is_exhausted(grant);
    if (percent < WARN_PERCENT)
        entry->was_warned = false;
    else if (!entry->was_warned && !is_over)
        log_usage(grant, "80 % of this month's bytes are used");
    if (percent >= WARN_PERCENT)
        entry->was_warned = true;
    if (is_over && !was_over)
        log_usage(grant, "this month's bytes are used up: no new substreams and visitors");
    atomic_store_explicit(&grant->is_exhausted, is_over, memory_order_relaxed);
    entry->exhausted_for = is_over && was_over ? entry->exhausted_for + entry->unjudged : 0;
    entry->unjudged = 0;
    if (!is_over)
        entry->was_told = false;
    if (entry->exhausted_for >= GRANTS_GRACE && !entry->was_told) {
        entry->was_told = true;
        grants->host.on_overdue(grants->host.user, grant);
    }
}

/* --- The book --- */

static void entry_free(struct entry *entry)
{
    grant_unref(entry->grant);
    free(entry);
}

/* Only the book has it, and nothing is to be summed any more: a tunnel that comes later makes it
 * anew. */
static bool is_unused(const struct entry *entry)
{
    return atomic_load_explicit(&entry->grant->references, memory_order_acquire) == 1;
}

static void tick_revoked(struct grants *grants)
{
    struct entry **link = &grants->revoked;
    while (*link) {
        struct entry *entry = *link;
        bool is_last = is_unused(entry);
        sum(grants, entry->grant);
        if (!is_last) {
            link = &entry->next_revoked;
            continue;
        }
        *link = entry->next_revoked;
        entry_free(entry);
    }
}

void grants_tick(struct grants *grants, uint64_t elapsed)
{
    struct entry *entry, *next;
    HASH_ITER(hh, grants->entries, entry, next)
    {
        bool is_last = is_unused(entry); /* before it is summed: nobody adds then */
        bool has_moved = sum(grants, entry->grant);
        grant_refill(entry->grant, elapsed);
        entry->unjudged += elapsed;
        if (has_moved || entry->unjudged >= JUDGE_TIME)
            judge(grants, entry);
        /* who comes back at once has no full bucket again, and the grace time goes on */
        if (is_last && grant_room(entry->grant) >= entry->grant->bytes_per_second &&
            !entry->exhausted_for) {
            HASH_DEL(grants->entries, entry);
            entry_free(entry);
        }
    }
    tick_revoked(grants);
}

static void on_timer(struct timer *timer)
{
    struct grants *grants = (struct grants *)timer;
    uint64_t now = loop_now(grants->loop);
    uint64_t elapsed = now - grants->ticked_at;
    grants->ticked_at = now;
    grants_tick(grants, elapsed);
    if (grants->entries || grants->revoked)
        timer_start(timer, now + GRANTS_TICK);
}

static struct entry *add(struct grants *grants, const struct grant_key *key,
                         const struct device_token *token)
{
    struct entry *entry = calloc(1, sizeof *entry);
    if (!entry)
        return NULL;
    memcpy(&entry->key, key, sizeof *key); /* with its padding, which is hashed, too */
    entry->grant = grant_new(key->owner, token, key->login);
    if (entry->grant)
        HASH_ADD(hh, grants->entries, key, sizeof entry->key, entry);
    if (!entry->grant || !entry->hh.tbl) {
        entry_free(entry);
        return NULL;
    }
    judge(grants, entry); /* who has nothing left gets nothing, from the first moment on */
    if (!timer_is_running(&grants->timer)) {
        grants->ticked_at = loop_now(grants->loop);
        timer_start(&grants->timer, grants->ticked_at + GRANTS_TICK);
    }
    return entry;
}

struct grant *grants_take(struct grants *grants, const char *owner,
                          const struct device_token *token, const char *login)
{
    struct grant_key key;
    struct entry *entry;
    make_key(owner, token, login, &key);
    HASH_FIND(hh, grants->entries, &key, sizeof key, entry);
    if (!entry)
        entry = add(grants, &key, token);
    return entry ? grant_ref(entry->grant) : NULL;
}

static bool is_of(const struct entry *entry, const struct device_token *token, const char *login)
{
    if (token)
        return entry->key.token == token->id;
    return !login || (!entry->key.token && (!*login || !strcmp(entry->key.login, login)));
}

void grants_revoke(struct grants *grants, const char *owner, const struct device_token *token,
                   const char *login)
{
    struct entry *entry, *next;
    HASH_ITER(hh, grants->entries, entry, next)
    {
        if (strcmp(entry->key.owner, owner) != 0 || !is_of(entry, token, login))
            continue;
        HASH_DEL(grants->entries, entry);
        entry->next_revoked = grants->revoked;
        grants->revoked = entry;
    }
}

size_t grants_count(const struct grants *grants)
{
    return HASH_COUNT(grants->entries);
}

/* --- Life --- */

int grants_new(struct loop *loop, const struct grants_host *host, struct grants **ret_grants)
{
    struct grants *grants = calloc(1, sizeof *grants);
    if (!grants)
        return -ENOMEM;
    grants->loop = loop;
    grants->host = *host;
    timer_init(&grants->timer, loop, on_timer);
    *ret_grants = grants;
    return 0;
}

void grants_free(struct grants *grants)
{
    struct entry *entry, *next;
    if (!grants)
        return;
    timer_stop(&grants->timer);
    HASH_ITER(hh, grants->entries, entry, next)
    {
        sum(grants, entry->grant);
        HASH_DEL(grants->entries, entry);
        entry_free(entry);
    }
    while ((entry = grants->revoked)) {
        grants->revoked = entry->next_revoked;
        sum(grants, entry->grant);
        entry_free(entry);
    }
    free(grants);
}
