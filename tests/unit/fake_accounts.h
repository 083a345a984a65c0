/* Accounts, the store's tunnels, and the hashing of passwords, in memory, for tests and fuzzers of
 * the API: what control/accounts.h and its neighbours promise, answered by messages of the loop.
 *
 * A login is "login:ID:GEN"; "expired", "denied" and "disabled" are what they say. A password is
 * its own hash. Included by one file of a program, in which these functions take the place of the
 * real ones.
 */
#pragma once

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "control/accounts.h"
#include "net/login_delay.h"
#include "net/secret.h"
#include "net/work.h"

#define FAKE_MAX 80

struct accounts {
    struct loop *loop;
    struct account *accounts[FAKE_MAX];
    struct device_token *tokens[FAKE_MAX];
    size_t account_count, token_count;
    uint64_t last_id;
    int fail;       /* enum account_error that the next question is answered with, once */
    uint64_t wait;  /* with ACCOUNTS_WAIT */
    bool is_silent; /* nothing is answered any more */
    size_t logouts, logouts_all;
};

struct store {
    struct loop *loop;
    struct stored_tunnel tunnels[FAKE_MAX];
    size_t count;
    int refuse;       /* enum store_error, at once */
    const char *fail; /* what comes later */
    bool is_silent;
};

struct work_queue {
    struct loop *loop;
};

static bool fake_work_is_full;

/* --- Answers that come later --- */

typedef void fake_function(void);

enum fake_kind { FAKE_ACCOUNT, FAKE_LOGIN, FAKE_TOKEN, FAKE_DONE, FAKE_STORED };

struct fake_answer {
    struct loop_message message; /* first */
    enum fake_kind kind;
    bool *is_silent;
    int error;
    uint64_t wait;
    struct account *account;
    struct device_token *token;
    const char *text;
    char login[64];
    fake_function *on_done; /* of its kind */
    void *user;
};

static inline void fake_answer_run(struct loop_message *message)
{
    struct fake_answer *answer = (struct fake_answer *)message;
    const struct account *account = answer->error ? NULL : answer->account;
    if (*answer->is_silent)
        answer->on_done = NULL;
    if (answer->on_done)
        switch (answer->kind) {
        case FAKE_ACCOUNT:
            ((accounts_on_account *)answer->on_done)(answer->user, answer->error, account,
                                                     answer->wait);
            break;
        case FAKE_LOGIN:
            ((accounts_on_login *)answer->on_done)(answer->user, answer->error, answer->login,
                                                   account, answer->wait);
            break;
        case FAKE_TOKEN:
            ((accounts_on_token *)answer->on_done)(answer->user, answer->error, answer->token,
                                                   "sp_0123456789012345678901234567890123456789");
            break;
        case FAKE_DONE:
            ((accounts_on_done *)answer->on_done)(answer->user, answer->error);
            break;
        case FAKE_STORED:
            ((store_on_done *)answer->on_done)(answer->user, answer->text);
            break;
        }
    account_unref(answer->account);
    device_token_unref(answer->token);
    free(answer);
}

static inline struct fake_answer *fake_answer_post(struct loop *loop, enum fake_kind kind,
                                                   fake_function *on_done, void *user,
                                                   bool *is_silent)
{
    struct fake_answer *answer = calloc(1, sizeof *answer);
    answer->message.run = fake_answer_run;
    answer->kind = kind;
    answer->on_done = on_done;
    answer->user = user;
    answer->is_silent = is_silent;
    loop_post(loop, &answer->message);
    return answer;
}

static inline struct fake_answer *fake_ask(struct accounts *accounts, enum fake_kind kind,
                                           fake_function *on_done, void *user)
{
    struct fake_answer *answer =
        fake_answer_post(accounts->loop, kind, on_done, user, &accounts->is_silent);
    answer->error = accounts->fail;
    answer->wait = accounts->wait;
    accounts->fail = 0;
    accounts->wait = 0;
    return answer;
}

/* --- Accounts --- */

const char *account_error_text(int error)
{
    static char text[32];
    snprintf(text, sizeof text, "account error %d", -error);
    return text;
}

struct account *accounts_find(struct accounts *accounts, uint64_t id)
{
    for (size_t i = 0; i < accounts->account_count; i++)
        if (accounts->accounts[i]->id == id)
            return accounts->accounts[i];
    return NULL;
}

struct account *accounts_find_uuid(struct accounts *accounts, const char *uuid)
{
    for (size_t i = 0; i < accounts->account_count; i++)
        if (!strcmp(accounts->accounts[i]->uuid, uuid))
            return accounts->accounts[i];
    return NULL;
}

struct account *accounts_find_email(struct accounts *accounts, const char *email)
{
    for (size_t i = 0; i < accounts->account_count; i++)
        if (!strcasecmp(accounts->accounts[i]->email, email))
            return accounts->accounts[i];
    return NULL;
}

void accounts_each(struct accounts *accounts,
                   void (*each)(void *user, const struct account *account), void *user)
{
    for (size_t i = 0; i < accounts->account_count; i++)
        each(user, accounts->accounts[i]);
}

/* Borrowed. */
static inline struct account *fake_account_add(struct accounts *accounts, const char *email,
                                               enum account_state state)
{
    struct account values = {.id = ++accounts->last_id,
                             .email = (char *)email,
                             .name = "Ann",
                             .password_hash = "password",
                             .state = state,
                             .created = 1700000000};
    snprintf(values.uuid, sizeof values.uuid, "00000000-0000-4000-8000-%012u", (unsigned)values.id);
    if (state == ACCOUNT_PENDING)
        snprintf(values.confirm, sizeof values.confirm, "code%u", (unsigned)values.id);
    return accounts->accounts[accounts->account_count++] = account_new(&values);
}

static inline struct account *fake_account_replace(struct accounts *accounts,
                                                   const struct account *values)
{
    for (size_t i = 0; i < accounts->account_count; i++) {
        struct account *old = accounts->accounts[i];
        if (old->id != values->id)
            continue;
        accounts->accounts[i] = account_new(values);
        account_unref(old);
        return accounts->accounts[i];
    }
    return NULL;
}

void accounts_create(struct accounts *accounts, const struct account_values *values, bool confirmed,
                     accounts_on_account *on_done, void *user)
{
    struct fake_answer *answer = fake_ask(accounts, FAKE_ACCOUNT, (fake_function *)on_done, user);
    if (!answer->error && accounts_find_email(accounts, values->email))
        answer->error = ACCOUNTS_TAKEN;
    if (!answer->error && strlen(values->password) < 8)
        answer->error = ACCOUNTS_BAD_PASSWORD;
    if (!answer->error && accounts->account_count == FAKE_MAX)
        answer->error = ACCOUNTS_STORE;
    if (answer->error)
        return;
    struct account next =
        *fake_account_add(accounts, values->email, confirmed ? ACCOUNT_ACTIVE : ACCOUNT_PENDING);
    next.name = (char *)values->name;
    next.sshkey = (char *)values->sshkey;
    next.password_hash = (char *)values->password;
    answer->account = account_ref(fake_account_replace(accounts, &next));
}

void accounts_confirm(struct accounts *accounts, const char *code, accounts_on_account *on_done,
                      void *user)
{
    struct fake_answer *answer = fake_ask(accounts, FAKE_ACCOUNT, (fake_function *)on_done, user);
    for (size_t i = 0; !answer->error && i < accounts->account_count; i++) {
        struct account next = *accounts->accounts[i];
        if (!*next.confirm || strcmp(next.confirm, code))
            continue;
        next.confirm[0] = 0;
        next.state = ACCOUNT_ACTIVE;
        answer->account = account_ref(fake_account_replace(accounts, &next));
        return;
    }
    if (!answer->error)
        answer->error = ACCOUNTS_UNKNOWN;
}

void accounts_change(struct accounts *accounts, uint64_t id, const struct account_values *values,
                     const char *current, accounts_on_account *on_done, void *user)
{
    struct fake_answer *answer = fake_ask(accounts, FAKE_ACCOUNT, (fake_function *)on_done, user);
    const struct account *account = accounts_find(accounts, id);
    if (!answer->error && !account)
        answer->error = ACCOUNTS_UNKNOWN;
    if (!answer->error && current && strcmp(current, account->password_hash))
        answer->error = ACCOUNTS_WRONG;
    if (answer->error)
        return;
    struct account next = *account;
    next.gen += values->password != NULL;
    if (values->name)
        next.name = (char *)values->name;
    if (values->email)
        next.email = (char *)values->email;
    if (values->sshkey)
        next.sshkey = (char *)values->sshkey;
    if (values->password)
        next.password_hash = (char *)values->password;
    answer->account = account_ref(fake_account_replace(accounts, &next));
}

void accounts_set_state(struct accounts *accounts, uint64_t id, enum account_state state,
                        accounts_on_done *on_done, void *user)
{
    struct fake_answer *answer = fake_ask(accounts, FAKE_DONE, (fake_function *)on_done, user);
    const struct account *account = accounts_find(accounts, id);
    if (answer->error || !account)
        return;
    struct account next = *account;
    next.state = state;
    fake_account_replace(accounts, &next);
}

void accounts_set_quota(struct accounts *accounts, uint64_t id, uint64_t bytes,
                        accounts_on_done *on_done, void *user)
{
    struct fake_answer *answer = fake_ask(accounts, FAKE_DONE, (fake_function *)on_done, user);
    const struct account *account = accounts_find(accounts, id);
    if (answer->error || !account)
        return;
    struct account next = *account;
    next.quota_bytes = bytes;
    fake_account_replace(accounts, &next);
}

void accounts_remove(struct accounts *accounts, uint64_t id, accounts_on_done *on_done, void *user)
{
    struct fake_answer *answer = fake_ask(accounts, FAKE_DONE, (fake_function *)on_done, user);
    for (size_t i = 0; !answer->error && i < accounts->account_count; i++) {
        if (accounts->accounts[i]->id != id)
            continue;
        account_unref(accounts->accounts[i]);
        accounts->accounts[i] = accounts->accounts[--accounts->account_count];
    }
}

uint64_t accounts_usage(const struct accounts *accounts, const char *owner)
{
    return 42;
}

/* --- Logins --- */

static inline void fake_login_make(const struct account *account, char buffer[64])
{
    snprintf(buffer, 64, "login:%u:%u", (unsigned)account->id, (unsigned)account->gen);
}

void accounts_login(struct accounts *accounts, const char *email, const char *password,
                    const union address *address, accounts_on_login *on_done, void *user)
{
    struct fake_answer *answer = fake_ask(accounts, FAKE_LOGIN, (fake_function *)on_done, user);
    struct account *account = accounts_find_email(accounts, email);
    if (!answer->error && (!account || strcmp(account->password_hash, password)))
        answer->error = ACCOUNTS_WRONG;
    if (!answer->error && account->state == ACCOUNT_PENDING)
        answer->error = ACCOUNTS_PENDING;
    if (!answer->error && account->state == ACCOUNT_DISABLED)
        answer->error = ACCOUNTS_DISABLED;
    if (answer->error)
        return;
    answer->account = account_ref(account);
    fake_login_make(account, answer->login);
}

int accounts_check_login(struct accounts *accounts, const char *login, size_t length,
                         struct account **ret_account, struct jwt_claims *ret_claims)
{
    unsigned id, gen;
    if (!strcmp(login, "expired"))
        return ACCOUNTS_EXPIRED;
    if (!strcmp(login, "denied"))
        return ACCOUNTS_DENIED;
    if (sscanf(login, "login:%u:%u", &id, &gen) != 2)
        return ACCOUNTS_WRONG;
    struct account *account = accounts_find(accounts, id);
    if (!account)
        return ACCOUNTS_UNKNOWN;
    if (account->state == ACCOUNT_DISABLED)
        return ACCOUNTS_DISABLED;
    if (gen != account->gen)
        return ACCOUNTS_DENIED;
    *ret_claims = (struct jwt_claims){.user_id = id, .gen = gen};
    *ret_account = account;
    return 0;
}

int accounts_refresh(struct accounts *accounts, const struct jwt_claims *claims,
                     char buffer[JWT_MAX])
{
    int error = accounts->fail;
    const struct account *account = accounts_find(accounts, claims->user_id);
    accounts->fail = 0;
    if (error || !account)
        return error ? error : ACCOUNTS_UNKNOWN;
    fake_login_make(account, buffer);
    return (int)strlen(buffer);
}

void accounts_logout(struct accounts *accounts, const struct jwt_claims *claims, bool all,
                     accounts_on_done *on_done, void *user)
{
    const struct fake_answer *answer =
        fake_ask(accounts, FAKE_DONE, (fake_function *)on_done, user);
    if (!answer->error)
        *(all ? &accounts->logouts_all : &accounts->logouts) += 1;
}

/* --- Device tokens --- */

void accounts_create_token(struct accounts *accounts, uint64_t account,
                           const struct device_token *values, accounts_on_token *on_done,
                           void *user)
{
    struct fake_answer *answer = fake_ask(accounts, FAKE_TOKEN, (fake_function *)on_done, user);
    const struct account *owner = accounts_find(accounts, account);
    if (!answer->error && (!owner || accounts->token_count == FAKE_MAX))
        answer->error = ACCOUNTS_LIMIT;
    if (answer->error)
        return;
    struct device_token next = *values;
    next.id = ++accounts->last_id;
    next.account = account;
    next.created = 1700000000;
    snprintf(next.uuid, sizeof next.uuid, "00000000-0000-4000-9000-%012u", (unsigned)next.id);
    snprintf(next.owner, sizeof next.owner, "%s", owner->uuid);
    struct device_token *token = device_token_new(&next);
    accounts->tokens[accounts->token_count++] = token;
    answer->token = device_token_ref(token);
}

void accounts_revoke_token(struct accounts *accounts, uint64_t account, const char *uuid,
                           accounts_on_done *on_done, void *user)
{
    struct fake_answer *answer = fake_ask(accounts, FAKE_DONE, (fake_function *)on_done, user);
    for (size_t i = 0; !answer->error && i < accounts->token_count; i++) {
        struct device_token *token = accounts->tokens[i];
        if ((account && token->account != account) || strcmp(token->uuid, uuid))
            continue;
        device_token_unref(token);
        accounts->tokens[i] = accounts->tokens[--accounts->token_count];
        return;
    }
    if (!answer->error)
        answer->error = ACCOUNTS_UNKNOWN;
}

void accounts_each_token(struct accounts *accounts, uint64_t account,
                         void (*each)(void *user, const struct device_token *token,
                                      uint64_t last_used),
                         void *user)
{
    for (size_t i = 0; i < accounts->token_count; i++)
        if (!account || accounts->tokens[i]->account == account)
            each(user, accounts->tokens[i], 1700000001);
}

static inline void fake_accounts_deinit(struct accounts *accounts)
{
    while (accounts->account_count)
        account_unref(accounts->accounts[--accounts->account_count]);
    while (accounts->token_count)
        device_token_unref(accounts->tokens[--accounts->token_count]);
}

/* --- The store's tunnels --- */

uint64_t store_last_tunnel(const struct store *store)
{
    return store->count ? store->tunnels[store->count - 1].id : 0;
}

int store_load_tunnels(struct store *store,
                       int (*each)(void *user, const struct stored_tunnel *tunnel), void *user,
                       char *error, size_t error_size)
{
    if (store->fail) {
        snprintf(error, error_size, "%s", store->fail);
        return -1;
    }
    for (size_t i = 0; i < store->count; i++)
        if (each(user, &store->tunnels[i]))
            return -1;
    return 0;
}

static inline int fake_stored(struct store *store, store_on_done *on_done, void *user)
{
    if (store->refuse)
        return store->refuse;
    fake_answer_post(store->loop, FAKE_STORED, (fake_function *)on_done, user, &store->is_silent)
        ->text = store->fail;
    return 0;
}

int store_put_tunnel(struct store *store, const struct stored_tunnel *tunnel,
                     store_on_done *on_done, void *user)
{
    int error = fake_stored(store, on_done, user);
    if (!error && !store->fail && store->count < FAKE_MAX)
        store->tunnels[store->count++] = *tunnel;
    return error;
}

int store_remove_tunnel(struct store *store, uint64_t id, store_on_done *on_done, void *user)
{
    int error = fake_stored(store, on_done, user);
    for (size_t i = 0; !error && !store->fail && i < store->count; i++)
        if (store->tunnels[i].id == id) {
            memmove(&store->tunnels[i], &store->tunnels[i + 1],
                    (store->count - i - 1) * sizeof store->tunnels[0]);
            store->count--;
        }
    return error;
}

/* --- Delays: of all together --- */

struct login_delay {
    unsigned wrong;
};

int login_delay_new(struct login_delay **ret_delay)
{
    *ret_delay = calloc(1, sizeof **ret_delay);
    return 0;
}

void login_delay_free(struct login_delay *delay)
{
    free(delay);
}

uint64_t login_delay_ask(const struct login_delay *delay, const union address *address,
                         const char *account, uint64_t now)
{
    return delay->wrong > 5 ? 1000000 : 0;
}

void login_delay_wrong(struct login_delay *delay, const union address *address, const char *account,
                       uint64_t now)
{
    delay->wrong++;
}

/* --- Hashing --- */

int secret_hash_password(const char *password, char ret_hash[SECRET_HASH_MAX])
{
    snprintf(ret_hash, SECRET_HASH_MAX, "hash of %s", password);
    return 0;
}

int work_queue_new(struct loop *loop, unsigned threads, unsigned most_waiting,
                   struct work_queue **ret_queue)
{
    *ret_queue = calloc(1, sizeof **ret_queue);
    (*ret_queue)->loop = loop;
    return 0;
}

static inline void fake_work_run(struct loop_message *message)
{
    struct work *work = (struct work *)((char *)message - offsetof(struct work, message));
    work->run(work);
    work->done(work);
}

int work_queue_add(struct work_queue *queue, struct work *work)
{
    if (fake_work_is_full)
        return -EAGAIN;
    work->message.run = fake_work_run;
    loop_post(queue->loop, &work->message);
    return 0;
}

void work_queue_free(struct work_queue *queue)
{
    free(queue);
}
