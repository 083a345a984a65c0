/* Device tokens. */
#include <stdio.h>
#include <string.h>

#include "control/accounts_internal.h"
#include "net/pki.h"
#include "registry/uuid.h"

#define SECRET_BYTES  30 /* 40 characters */
#define SECRET_PREFIX "sp_"

/* --- Made --- */

static void tell_token(struct question *question)
{
    bool is_good = question->error == ACCOUNTS_OK;
    question->on.token(question->user, question->error, is_good ? question->token : NULL,
                       is_good ? question->secret : "");
}

/* -1: no random bytes. */
static int make_secret(char ret_secret[ACCOUNT_SECRET_SIZE])
{
    unsigned char bytes[SECRET_BYTES];
    if (pki_random(bytes, sizeof bytes) < 0)
        return -1;
    memcpy(ret_secret, SECRET_PREFIX, strlen(SECRET_PREFIX));
    secret_base64url(bytes, sizeof bytes, ret_secret + strlen(SECRET_PREFIX));
    explicit_bzero(bytes, sizeof bytes);
    return 0;
}

static void after_creating(struct question *question)
{
    struct accounts *accounts = question->accounts;
    struct token_entry *entry = accounts_token(accounts, question->token->uuid);
    int error = question->error;
    if (!entry)
        error = ACCOUNTS_UNKNOWN; /* its account went meanwhile, and it with it */
    else if (error)
        accounts_remove_token(accounts, entry);
    else
        entry->is_stored = true;
    question_finish(question, error);
}

/* What is made here of the values that were given. */
static int complete(struct question *question, const struct account_entry *owner)
{
    struct accounts *accounts = question->accounts;
    struct device_token *token = question->token; /* nobody else has it yet */
    if (make_secret(question->secret) < 0 || uuid_make(pki_random, token->uuid) < 0)
        return ACCOUNTS_MEMORY;
    pki_sha256(question->secret, strlen(question->secret), token->digest);
    token->id = ++accounts->last_token;
    token->account = owner->id;
    memcpy(token->owner, owner->uuid, sizeof token->owner);
    token->created = accounts_now(accounts);
    return ACCOUNTS_OK;
}

static int check_owner(const struct account_entry *owner)
{
    if (!owner || !owner->account)
        return ACCOUNTS_UNKNOWN;
    if (owner->account->state == ACCOUNT_PENDING)
        return ACCOUNTS_PENDING;
    if (owner->account->state == ACCOUNT_DISABLED)
        return ACCOUNTS_DISABLED;
    return owner->token_count < ACCOUNTS_TOKENS_MAX ? ACCOUNTS_OK : ACCOUNTS_LIMIT;
}

static void create(struct question *question)
{
    struct accounts *accounts = question->accounts;
    struct account_entry *owner = accounts_entry(accounts, question->id);
    int error = question->error ? question->error : check_owner(owner);
    if (!error)
        error = accounts_check_scope(accounts, question->token);
    if (!error)
        error = complete(question, owner);
    if (!error && !accounts_add_token(accounts, owner, question->token))
        error = ACCOUNTS_MEMORY;
    if (error) {
        question_finish(question, error);
        return;
    }
    question_store(question,
                   store_put_token(accounts->store, question->token, question_stored, question),
                   after_creating);
}

void accounts_create_token(struct accounts *accounts, uint64_t account,
                           const struct device_token *values, accounts_on_token *on_done,
                           void *user)
{
    struct question *question = question_new(accounts, tell_token, user);
    if (!question) {
        on_done(user, ACCOUNTS_MEMORY, NULL, "");
        return;
    }
    struct device_token named = *values;
    if (!named.name)
        named.name = (char *)""; /* which isn't one */
    question->on.token = on_done;
    question->id = account;
    question->token = device_token_new(&named);
    if (!question->token)
        question->error = ACCOUNTS_MEMORY;
    question_post(question, create);
}

/* --- Revoked --- */

static struct token_entry *find_theirs(const struct question *question)
{
    struct token_entry *entry = accounts_token(question->accounts, question->uuid);
    bool is_theirs =
        entry && entry->is_stored && (!question->id || entry->token->account == question->id);
    return is_theirs ? entry : NULL;
}

static void after_revoking(struct question *question)
{
    struct accounts *accounts = question->accounts;
    struct token_entry *entry = find_theirs(question);
    if (!question->error && entry) {
        struct device_token *token = device_token_ref(entry->token);
        accounts_remove_token(accounts, entry);
        accounts_tell_revoked(accounts,
                              &(struct accounts_revoked){.owner = token->owner, .token = token});
        device_token_unref(token);
    }
    question_finish(question, question->error);
}

static void revoke_now(struct question *question)
{
    const struct token_entry *entry = find_theirs(question);
    if (!entry) {
        question_finish(question, ACCOUNTS_UNKNOWN);
        return;
    }
    question_store(
        question,
        store_remove_token(question->accounts->store, entry->token->id, question_stored, question),
        after_revoking);
}

void accounts_revoke_token(struct accounts *accounts, uint64_t account, const char *uuid,
                           accounts_on_done *on_done, void *user)
{
    struct question *question = question_new(accounts, question_tell_done, user);
    if (!question) {
        on_done(user, ACCOUNTS_MEMORY);
        return;
    }
    question->on.done = on_done;
    question->id = account;
    if (strlen(uuid) < sizeof question->uuid)
        strcpy(question->uuid, uuid);
    question_post(question, revoke_now);
}

/* --- Asked --- */

/* A digest of as many random bits as a secret has tells nothing by the time it takes to find. */
int accounts_check_token(struct accounts *accounts, const char *secret, size_t length,
                         struct device_token **ret_token)
{
    unsigned char digest[32];
    if (length != ACCOUNT_SECRET_SIZE - 1 ||
        memcmp(secret, SECRET_PREFIX, strlen(SECRET_PREFIX)) != 0)
        return ACCOUNTS_UNKNOWN;
    pki_sha256(secret, length, digest);
    struct token_entry *entry = accounts_token_of_digest(accounts, digest);
    if (!entry || !entry->is_stored)
        return ACCOUNTS_UNKNOWN;
    uint64_t now = accounts_now(accounts);
    if (entry->token->expires && entry->token->expires <= now)
        return ACCOUNTS_EXPIRED;
    if (entry->owner->account->state != ACCOUNT_ACTIVE)
        return entry->owner->account->state == ACCOUNT_PENDING ? ACCOUNTS_PENDING
                                                               : ACCOUNTS_DISABLED;
    entry->last_used = now;
    entry->is_used = true;
    *ret_token = entry->token;
    return ACCOUNTS_OK;
}

void accounts_each_token(struct accounts *accounts, uint64_t account,
                         void (*each)(void *user, const struct device_token *token,
                                      uint64_t last_used),
                         void *user)
{
    const struct account_entry *owner = account ? accounts_entry(accounts, account) : NULL;
    const struct token_entry *entry =
        account ? (owner ? owner->first_token : NULL) : accounts->tokens_by_digest;
    for (; entry; entry = account ? entry->next : entry->by_digest.next)
        if (entry->is_stored)
            each(user, entry->token, entry->last_used);
}
