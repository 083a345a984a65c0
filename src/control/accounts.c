#include "control/accounts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/accounts_internal.h"

#define MINUTE UINT64_C(60000000) /* microseconds */

/* 32 MiB and a core each: two are what a small server has to spare. 64 wait some 3 s. */
#define HASHING_THREADS 2
#define HASHING_WAITING 64

const char *account_error_text(int error)
{
    static const char *const texts[] = {
        "no error",
        "this is not an e-mail address",
        "a name has 1 to 128 bytes without control characters",
        "a password has 8 to 1024 bytes",
        "there is an account with this e-mail address",
        "e-mail address or password are wrong",
        "the account is not confirmed yet",
        "the account is disabled",
        "too many wrong passwords, try again later",
        "the server is busy, try again",
        "the server can't write this down now",
        "there is no such account or token",
        "it has expired",
        "it is not valid any more",
        "these limits of a token can't be",
        "the server is out of memory",
        "the limit of tokens for one account is reached",
    };
    int count = (int)(sizeof texts / sizeof texts[0]);
    return error <= 0 && error > -count ? texts[-error] : "unknown error";
}

uint64_t accounts_now(const struct accounts *accounts)
{
    return accounts->options.wall_clock();
}

uint64_t accounts_clock(const struct accounts *accounts)
{
    return accounts->options.clock ? accounts->options.clock() : loop_now(accounts->loop);
}

void accounts_tell_revoked(const struct accounts *accounts, const struct accounts_revoked *revoked)
{
    accounts->options.on_revoked(accounts->options.user, revoked);
}

/* --- What is asked --- */

static struct account *account_of(const struct account_entry *entry)
{
    return entry ? entry->account : NULL;
}

struct account *accounts_find(struct accounts *accounts, uint64_t id)
{
    return account_of(accounts_entry(accounts, id));
}

struct account *accounts_find_uuid(struct accounts *accounts, const char *uuid)
{
    struct account_entry *entry;
    HASH_FIND(by_uuid, accounts->by_uuid, uuid, strlen(uuid), entry);
    return account_of(entry);
}

struct account *accounts_find_email(struct accounts *accounts, const char *email)
{
    const struct account_entry *entry = accounts_entry_of_email(accounts, email);
    char key[ACCOUNT_EMAIL_MAX + 1];
    accounts_fold_email(email, key);
    /* an e-mail that it will have isn't its own yet */
    return entry && strcmp(entry->email->key, key) == 0 ? entry->account : NULL;
}

void accounts_each(struct accounts *accounts,
                   void (*each)(void *user, const struct account *account), void *user)
{
    for (struct account_entry *entry = accounts->by_id; entry; entry = entry->by_id.next)
        if (entry->account)
            each(user, entry->account);
}

/* --- Loading --- */

static int load_account(void *user, struct account *account)
{
    struct accounts *accounts = user;
    struct account_entry *entry = accounts_add_entry(accounts, account);
    if (!entry)
        return -1;
    entry->account = account_ref(account);
    accounts_index_code(accounts, entry);
    return 0;
}

static int load_token(void *user, struct device_token *token, uint64_t last_used)
{
    struct accounts *accounts = user;
    struct account_entry *owner = accounts_entry(accounts, token->account);
    struct token_entry *entry = owner ? accounts_add_token(accounts, owner, token) : NULL;
    if (!entry)
        return -1;
    entry->is_stored = true;
    entry->last_used = last_used;
    return 0;
}

static int load_denied(void *user, const char *jti, uint64_t expires)
{
    struct denied_login *denied = accounts_add_denied(user, jti, expires);
    if (denied)
        denied->is_stored = true;
    return denied ? 0 : -1;
}

static int load(struct accounts *accounts, char *error, size_t error_size)
{
    struct store *store = accounts->store;
    snprintf(error, error_size, "out of memory"); /* of the functions above */
    if (store_load_accounts(store, load_account, accounts, error, error_size) < 0 ||
        store_load_tokens(store, load_token, accounts, error, error_size) < 0 ||
        store_load_denied(store, load_denied, accounts, error, error_size) < 0 ||
        accounts_load_usage(accounts, error, error_size) < 0)
        return -1;
    accounts->last_account = store_last_account(store);
    accounts->last_token = store_last_token(store);
    accounts_forget_denied(accounts);
    return 0;
}

/* --- Life --- */

static void on_minute(struct timer *timer)
{
    struct accounts *accounts =
        (struct accounts *)(void *)((char *)timer - offsetof(struct accounts, minute));
    timer_start(timer, loop_now(accounts->loop) + MINUTE);
    accounts_flush(accounts);
}

static void free_all(struct accounts *accounts)
{
    while (accounts->by_id)
        accounts_remove_entry(accounts, accounts->by_id);
    while (accounts->denied)
        accounts_remove_denied(accounts, accounts->denied);
    accounts_free_usage(accounts);
    work_queue_free(accounts->work);
    login_delay_free(accounts->delay);
    explicit_bzero(accounts->jwt_key, sizeof accounts->jwt_key);
    free(accounts);
}

static int open_accounts(struct accounts *accounts, char *error, size_t error_size)
{
    if (load(accounts, error, error_size) < 0)
        return -1;
    if (login_delay_new(&accounts->delay) < 0 ||
        work_queue_new(accounts->loop, HASHING_THREADS, HASHING_WAITING, &accounts->work) < 0) {
        snprintf(error, error_size, "can't start the threads that hash passwords");
        return -1;
    }
    return 0;
}

int accounts_new(struct loop *loop, struct store *store, const struct accounts_options *options,
                 struct accounts **ret_accounts, char *error, size_t error_size)
{
    struct accounts *accounts = calloc(1, sizeof *accounts);
    if (!accounts) {
        snprintf(error, error_size, "out of memory");
        return -1;
    }
    accounts->loop = loop;
    accounts->store = store;
    accounts->options = *options;
    accounts->options.jwt_key = NULL;
    memcpy(accounts->jwt_key, options->jwt_key, sizeof accounts->jwt_key);
    if (open_accounts(accounts, error, error_size) < 0) {
        free_all(accounts);
        return -1;
    }
    timer_init(&accounts->minute, loop, on_minute);
    timer_start(&accounts->minute, loop_now(loop) + MINUTE);
    *ret_accounts = accounts;
    return 0;
}

void accounts_free(struct accounts *accounts)
{
    if (!accounts)
        return;
    timer_stop(&accounts->minute);
    accounts_flush_last(accounts);
    question_drop_all(accounts);
    free_all(accounts);
}
