/* Accounts and device tokens as values. */
#include <stdlib.h>
#include <string.h>

#include "control/accounts.h"

/* False: no memory. */
static bool copy_text(const char *text, char **ret_copy)
{
    *ret_copy = text ? strdup(text) : NULL;
    return *ret_copy || !text;
}

struct account *account_new(const struct account *values)
{
    struct account *account = malloc(sizeof *account);
    if (!account)
        return NULL;
    *account = *values;
    account->email = account->name = account->sshkey = account->password_hash = NULL;
    atomic_init(&account->references, 1);
    if (copy_text(values->email, &account->email) && copy_text(values->name, &account->name) &&
        copy_text(values->sshkey, &account->sshkey) &&
        copy_text(values->password_hash, &account->password_hash))
        return account;
    account_unref(account);
    return NULL;
}

struct account *account_ref(struct account *account)
{
    atomic_fetch_add_explicit(&account->references, 1, memory_order_relaxed);
    return account;
}

void account_unref(struct account *account)
{
    if (!account || atomic_fetch_sub_explicit(&account->references, 1, memory_order_acq_rel) > 1)
        return;
    free(account->email);
    free(account->name);
    free(account->sshkey);
    free(account->password_hash);
    free(account);
}

struct device_token *device_token_new(const struct device_token *values)
{
    struct device_token *token = malloc(sizeof *token);
    if (!token)
        return NULL;
    *token = *values;
    token->name = token->egress_allow = token->egress_deny = token->sockets = NULL;
    atomic_init(&token->references, 1);
    if (copy_text(values->name, &token->name) &&
        copy_text(values->egress_allow, &token->egress_allow) &&
        copy_text(values->egress_deny, &token->egress_deny) &&
        copy_text(values->sockets, &token->sockets))
        return token;
    device_token_unref(token);
    return NULL;
}

struct device_token *device_token_ref(struct device_token *token)
{
    atomic_fetch_add_explicit(&token->references, 1, memory_order_relaxed);
    return token;
}

void device_token_unref(struct device_token *token)
{
    if (!token || atomic_fetch_sub_explicit(&token->references, 1, memory_order_acq_rel) > 1)
        return;
    free(token->name);
    free(token->egress_allow);
    free(token->egress_deny);
    free(token->sockets);
    free(token);
}
