#include <stdlib.h>
#include <string.h>

#include "control/accounts_internal.h"

void accounts_fold_email(const char *email, char ret_key[ACCOUNT_EMAIL_MAX + 1])
{
    size_t length = 0;
    for (; email[length] && length < ACCOUNT_EMAIL_MAX; length++) {
        char c = email[length];
        ret_key[length] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    ret_key[length] = 0;
}

/* --- Accounts --- */

struct account_entry *accounts_entry(const struct accounts *accounts, uint64_t id)
{
    struct account_entry *entry;
    HASH_FIND(by_id, accounts->by_id, &id, sizeof id, entry);
    return entry;
}

struct account_entry *accounts_entry_of_email(const struct accounts *accounts, const char *email)
{
    char key[ACCOUNT_EMAIL_MAX + 1];
    struct email_node *node = NULL;
    if (strlen(email) <= ACCOUNT_EMAIL_MAX) {
        accounts_fold_email(email, key);
        HASH_FIND(hh, accounts->emails, key, strlen(key), node);
    }
    return node ? node->entry : NULL;
}

struct account_entry *accounts_entry_of_code(const struct accounts *accounts, const char *code)
{
    struct account_entry *entry = NULL;
    HASH_FIND(by_confirm, accounts->by_confirm, code, strlen(code), entry);
    return entry;
}

struct email_node *accounts_add_email(struct accounts *accounts, struct account_entry *entry,
                                      const char *email)
{
    struct email_node *node = calloc(1, sizeof *node);
    if (!node)
        return NULL;
    node->entry = entry;
    accounts_fold_email(email, node->key);
    HASH_ADD_KEYPTR(hh, accounts->emails, node->key, strlen(node->key), node);
    if (node->hh.tbl)
        return node;
    free(node);
    return NULL;
}

void accounts_remove_email(struct accounts *accounts, struct email_node *node)
{
    if (!node)
        return;
    HASH_DEL(accounts->emails, node);
    free(node);
}

void accounts_index_code(struct accounts *accounts, struct account_entry *entry)
{
    if (entry->by_confirm.tbl)
        HASH_DELETE(by_confirm, accounts->by_confirm, entry);
    entry->by_confirm.tbl = NULL;
    memcpy(entry->confirm, entry->account->confirm, sizeof entry->confirm);
    if (*entry->confirm) /* without memory it isn't found: the operator can confirm */
        HASH_ADD(by_confirm, accounts->by_confirm, confirm, strlen(entry->confirm), entry);
}

struct account_entry *accounts_add_entry(struct accounts *accounts, const struct account *account)
{
    struct account_entry *entry = calloc(1, sizeof *entry);
    if (!entry)
        return NULL;
    entry->last = &entry->first;
    entry->id = account->id;
    memcpy(entry->uuid, account->uuid, sizeof entry->uuid);
    entry->email = accounts_add_email(accounts, entry, account->email);
    HASH_ADD(by_id, accounts->by_id, id, sizeof entry->id, entry);
    if (entry->by_id.tbl)
        HASH_ADD(by_uuid, accounts->by_uuid, uuid, strlen(entry->uuid), entry);
    if (entry->email && entry->by_uuid.tbl)
        return entry;
    accounts_remove_entry(accounts, entry);
    return NULL;
}

void accounts_remove_entry(struct accounts *accounts, struct account_entry *entry)
{
    while (entry->first_token)
        accounts_remove_token(accounts, entry->first_token);
    if (entry->by_id.tbl)
        HASH_DELETE(by_id, accounts->by_id, entry);
    if (entry->by_uuid.tbl)
        HASH_DELETE(by_uuid, accounts->by_uuid, entry);
    if (entry->by_confirm.tbl)
        HASH_DELETE(by_confirm, accounts->by_confirm, entry);
    accounts_remove_email(accounts, entry->email);
    accounts_remove_email(accounts, entry->email_wanted);
    account_unref(entry->account);
    free(entry);
}

/* --- Tokens --- */

struct token_entry *accounts_token(const struct accounts *accounts, const char *uuid)
{
    struct token_entry *entry;
    HASH_FIND(by_uuid, accounts->tokens_by_uuid, uuid, strlen(uuid), entry);
    return entry;
}

struct token_entry *accounts_token_of_digest(const struct accounts *accounts,
                                             const unsigned char digest[32])
{
    struct token_entry *entry;
    HASH_FIND(by_digest, accounts->tokens_by_digest, digest, 32, entry);
    return entry;
}

struct token_entry *accounts_add_token(struct accounts *accounts, struct account_entry *owner,
                                       struct device_token *token)
{
    struct token_entry *entry = calloc(1, sizeof *entry);
    if (!entry)
        return NULL;
    entry->token = device_token_ref(token);
    entry->owner = owner;
    entry->previous = owner->last_token;
    *(owner->last_token ? &owner->last_token->next : &owner->first_token) = entry;
    owner->last_token = entry;
    owner->token_count++;
    HASH_ADD_KEYPTR(by_digest, accounts->tokens_by_digest, token->digest, sizeof token->digest,
                    entry);
    if (entry->by_digest.tbl)
        HASH_ADD_KEYPTR(by_uuid, accounts->tokens_by_uuid, token->uuid, strlen(token->uuid), entry);
    if (entry->by_uuid.tbl)
        return entry;
    accounts_remove_token(accounts, entry);
    return NULL;
}

void accounts_remove_token(struct accounts *accounts, struct token_entry *entry)
{
    struct account_entry *owner = entry->owner;
    if (entry->by_digest.tbl)
        HASH_DELETE(by_digest, accounts->tokens_by_digest, entry);
    if (entry->by_uuid.tbl)
        HASH_DELETE(by_uuid, accounts->tokens_by_uuid, entry);
    *(entry->previous ? &entry->previous->next : &owner->first_token) = entry->next;
    *(entry->next ? &entry->next->previous : &owner->last_token) = entry->previous;
    owner->token_count--;
    device_token_unref(entry->token);
    free(entry);
}

/* --- Logins that are no more --- */

struct denied_login *accounts_add_denied(struct accounts *accounts, const char *jti,
                                         uint64_t expires)
{
    struct denied_login *denied;
    HASH_FIND(hh, accounts->denied, jti, strlen(jti), denied);
    if (denied)
        return denied;
    denied = calloc(1, sizeof *denied);
    if (!denied || strlen(jti) > JWT_JTI_MAX) {
        free(denied);
        return NULL;
    }
    strcpy(denied->jti, jti);
    denied->expires = expires;
    HASH_ADD(hh, accounts->denied, jti, strlen(denied->jti), denied);
    if (denied->hh.tbl)
        return denied;
    free(denied);
    return NULL;
}

void accounts_remove_denied(struct accounts *accounts, struct denied_login *denied)
{
    HASH_DEL(accounts->denied, denied);
    free(denied);
}

void accounts_forget_denied(struct accounts *accounts)
{
    uint64_t now = accounts_now(accounts);
    struct denied_login *denied, *after;
    HASH_ITER(hh, accounts->denied, denied, after)
    {
        if (!denied->storing && denied->expires + 86400 <= now)
            accounts_remove_denied(accounts, denied);
    }
}
