/* The operator's users. */
#include <stdlib.h>
#include <string.h>

#include "control/api_internal.h"
#include "net/secret.h"

/* By uuid, e-mail, or number; NULL: answered. */
static struct account *find_named(struct api_call *call, const char *name)
{
    struct accounts *accounts = call->api->accounts;
    struct account *account = accounts_find_uuid(accounts, name);
    if (!account)
        account = accounts_find_email(accounts, name);
    if (!account && *name && strspn(name, "0123456789") == strlen(name) && strlen(name) < 20)
        account = accounts_find(accounts, strtoull(name, NULL, 10));
    if (!account)
        api_answer_unknown(call, "user");
    return account;
}

static struct account *find(struct api_call *call)
{
    return find_named(call, call->ids[0]);
}

/* --- Lists --- */

static void list_user(void *user, const struct account *account)
{
    struct api_call *call = user;
    api_list_append(call, api_user_json(call->api, account));
}

void api_admin_list_users(struct api_call *call)
{
    call->list = json_array();
    accounts_each(call->api->accounts, list_user, call);
    api_answer_list(call);
}

static json_t *quota_json(struct api *api, const struct account *account)
{
    return json_pack("{s:s,s:s,s:I,s:I}", "user_id", account->uuid, "email", account->email,
                     "quota_bytes", (json_int_t)account->quota_bytes, "used_bytes",
                     (json_int_t)accounts_usage(api->accounts, account->uuid));
}

static void list_quota(void *user, const struct account *account)
{
    struct api_call *call = user;
    api_list_append(call, quota_json(call->api, account));
}

void api_admin_list_quotas(struct api_call *call)
{
    call->list = json_array();
    accounts_each(call->api->accounts, list_quota, call);
    api_answer_list(call);
}

void api_admin_show_user(struct api_call *call)
{
    const struct account *account = find(call);
    if (account)
        api_answer_json(call, api_user_json(call->api, account));
}

/* --- Creating --- */

void api_admin_create_user(struct api_call *call)
{
    struct api_values in = {.object = call->body};
    struct account_values values;
    api_user_values(&in, true, &values);
    if (!api_values_refuse(&in, call))
        accounts_create(call->api->accounts, &values, true, api_user_answer, call);
}

/* --- Changing: its values, then its state, then its quota; each is on disk before the next --- */

static void answer_now(struct api_call *call)
{
    const struct account *account = accounts_find(call->api->accounts, call->account_id);
    if (account)
        api_answer_json(call, api_user_json(call->api, account));
    else
        api_answer_unknown(call, "user");
}

static void quota_set(void *user, int error)
{
    struct api_call *call = user;
    if (error)
        api_answer_account_error(call, error, 0);
    else
        answer_now(call);
}

static void set_quota(struct api_call *call)
{
    struct api_values in = {.object = call->body};
    uint64_t quota = 0;
    api_values_number(&in, "quota_bytes", INT64_MAX, &quota);
    if (api_values_has(&in, "quota_bytes"))
        accounts_set_quota(call->api->accounts, call->account_id, quota, quota_set, call);
    else
        answer_now(call);
}

static void state_set(void *user, int error)
{
    struct api_call *call = user;
    if (error)
        api_answer_account_error(call, error, 0);
    else
        set_quota(call);
}

/* -1: not given. */
static int read_state(struct api_values *in)
{
    const char *text = api_values_line(in, "state", 1, 16);
    if (text && !strcmp(text, "active"))
        return ACCOUNT_ACTIVE;
    if (text && !strcmp(text, "disabled"))
        return ACCOUNT_DISABLED;
    if (text)
        api_values_fault(in, "state must be active or disabled");
    return -1;
}

static void set_state(struct api_call *call)
{
    struct api_values in = {.object = call->body};
    int state = read_state(&in);
    if (state < 0)
        set_quota(call);
    else
        accounts_set_state(call->api->accounts, call->account_id, (enum account_state)state,
                           state_set, call);
}

static void values_set(void *user, int error, const struct account *account, uint64_t wait)
{
    struct api_call *call = user;
    if (error)
        api_answer_account_error(call, error, wait);
    else
        set_state(call);
}

void api_admin_change_user(struct api_call *call)
{
    struct api_values in = {.object = call->body};
    struct account_values values;
    uint64_t quota;
    const struct account *account = find(call);
    if (!account)
        return;
    call->account_id = account->id;
    api_user_values(&in, false, &values);
    /* All is judged before anything changes. */
    (void)read_state(&in);
    api_values_number(&in, "quota_bytes", INT64_MAX, &quota);
    if (api_values_refuse(&in, call))
        return;
    if (values.name || values.email || values.password || values.sshkey)
        accounts_change(call->api->accounts, account->id, &values, NULL, values_set, call);
    else
        set_state(call);
}

void api_admin_set_quota(struct api_call *call)
{
    struct api_values in = {.object = call->body};
    uint64_t quota;
    const struct account *account = find(call);
    if (!account)
        return;
    call->account_id = account->id;
    if (!api_values_has(&in, "quota_bytes"))
        api_values_fault(&in, "quota_bytes is missing");
    api_values_number(&in, "quota_bytes", INT64_MAX, &quota);
    if (!api_values_refuse(&in, call))
        set_quota(call);
}

/* --- Deleting: the account makes no more sockets, then they go, then it does --- */

static void socket_removed(void *user, int error);

static void find_first(void *user, struct socket_facts *facts, size_t agents)
{
    struct api_call *call = user;
    if (!call->facts)
        call->facts = socket_facts_ref(facts);
}

static void remove_next(struct api_call *call)
{
    struct api *api = call->api;
    const struct account *account = accounts_find(api->accounts, call->account_id);
    if (!account) {
        api_answer_unknown(call, "user");
        return;
    }
    socket_facts_unref(call->facts);
    call->facts = NULL;
    api->host.each_socket(api->host.user, account->uuid, find_first, call);
    if (call->facts) {
        api->host.remove_socket(api->host.user, call->facts->id, socket_removed, call);
        return;
    }
    api_cache_drop(api, account->uuid);
    accounts_remove(api->accounts, account->id, api_user_done, call);
}

static void socket_removed(void *user, int error)
{
    struct api_call *call = user;
    if (error && error != REGISTRY_UNKNOWN) {
        api_answer_registry_error(call, error);
        return;
    }
    api_socket_gone(call->api, call->facts);
    remove_next(call);
}

static void disabled(void *user, int error)
{
    struct api_call *call = user;
    if (error)
        api_answer_account_error(call, error, 0);
    else
        remove_next(call);
}

void api_admin_delete_user(struct api_call *call)
{
    const struct account *account = find(call);
    if (!account)
        return;
    call->account_id = account->id;
    accounts_set_state(call->api->accounts, account->id, ACCOUNT_DISABLED, disabled, call);
}

/* --- Device tokens --- */

static void list_token(void *user, const struct device_token *token, uint64_t last_used)
{
    struct api_call *call = user;
    json_t *object = api_token_json(token, last_used);
    if (object &&
        (json_object_set_new(object, "user_id", json_string(token->owner)) < 0 ||
         json_object_set_new(object, "email",
                             json_string(api_socket_user_name(call->api, token->owner))) < 0)) {
        json_decref(object);
        object = NULL;
    }
    api_list_append(call, object);
}

void api_admin_list_tokens(struct api_call *call)
{
    call->list = json_array();
    accounts_each_token(call->api->accounts, 0, list_token, call);
    api_answer_list(call);
}

void api_admin_create_token(struct api_call *call)
{
    struct api_values in = {.object = call->body};
    const char *name = api_values_needed_line(&in, "user_id", 1, ACCOUNT_EMAIL_MAX);
    if (api_values_refuse(&in, call))
        return;
    const struct account *account = find_named(call, name);
    if (account)
        api_token_make(call, account->id);
}

void api_admin_delete_token(struct api_call *call)
{
    accounts_revoke_token(call->api->accounts, 0, call->ids[0], api_token_revoked, call);
}
