#include <stdlib.h>
#include <string.h>

#include "control/api_internal.h"

#define RULES_MAX                                                                                  \
    8192 /* of egress rules, and of sockets' names: more than anybody keeps track of */

/* --- As JSON --- */

/* "a,b" as a list; NULL: null. */
static json_t *list_json(const char *joined)
{
    if (!joined)
        return json_null();
    json_t *list = json_array();
    while (*joined && strcmp(joined, "-")) {
        size_t length = strcspn(joined, ",");
        const char *item = joined + strspn(joined, " ");
        json_array_append_new(list, json_stringn(item, (size_t)(joined + length - item)));
        joined += length + (joined[length] == ',');
    }
    return list;
}

json_t *api_token_json(const struct device_token *token, uint64_t last_used)
{
    return json_pack("{s:s,s:s,s:o,s:o,s:o,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "token_id", token->uuid,
                     "name", token->name ? token->name : "", "egress_allow",
                     list_json(token->egress_allow), "egress_deny", list_json(token->egress_deny),
                     "sockets", list_json(token->sockets), "max_tunnels",
                     (json_int_t)token->max_tunnels, "max_substreams",
                     (json_int_t)token->max_substreams, "bytes_per_second",
                     (json_int_t)token->bytes_per_second, "bytes_per_month",
                     (json_int_t)token->bytes_per_month, "created", (json_int_t)token->created,
                     "expires", (json_int_t)token->expires, "last_used", (json_int_t)last_used);
}

static void list_one(void *user, const struct device_token *token, uint64_t last_used)
{
    struct api_call *call = user;
    api_list_append(call, api_token_json(token, last_used));
}

void api_token_list(struct api_call *call)
{
    call->list = json_array();
    accounts_each_token(call->api->accounts, call->account->id, list_one, call);
    api_answer_list(call);
}

/* --- Creating --- */

static void created(void *user, int error, const struct device_token *token, const char *secret)
{
    struct api_call *call = user;
    if (error) {
        api_answer_account_error(call, error, 0);
        return;
    }
    json_t *object = api_token_json(token, 0);
    if (object && json_object_set_new(object, "token", json_string(secret)) < 0) {
        json_decref(object);
        object = NULL;
    }
    api_answer_json(call, object);
}

/* An empty list is none at all, which "-" stands for. */
static char *read_sockets(struct api_values *in)
{
    char *sockets = api_values_joined(in, "sockets", RULES_MAX);
    if (sockets && !strcmp(sockets, "-"))
        api_values_fault(in, "sockets can't hold \"-\" alone: for none, give an empty list");
    if (!sockets || *sockets)
        return sockets;
    free(sockets);
    sockets = strdup("-");
    if (!sockets)
        api_values_fault(in, "sockets couldn't be read: out of memory");
    return sockets;
}

void api_token_make(struct api_call *call, uint64_t account)
{
    struct api_values in = {.object = call->body};
    struct device_token values = {0};
    values.name = (char *)api_values_needed_line(&in, "name", 1, ACCOUNT_NAME_MAX);
    values.egress_allow = api_values_joined(&in, "egress_allow", RULES_MAX);
    values.egress_deny = api_values_joined(&in, "egress_deny", RULES_MAX);
    values.sockets = read_sockets(&in);
    api_values_number32(&in, "max_tunnels", &values.max_tunnels);
    api_values_number32(&in, "max_substreams", &values.max_substreams);
    api_values_number(&in, "bytes_per_second", INT64_MAX, &values.bytes_per_second);
    api_values_number(&in, "bytes_per_month", INT64_MAX, &values.bytes_per_month);
    api_values_number(&in, "expires", INT64_MAX, &values.expires);
    if (!api_values_refuse(&in, call))
        accounts_create_token(call->api->accounts, account, &values, created, call);
    free(values.egress_allow);
    free(values.egress_deny);
    free(values.sockets);
}

void api_token_create(struct api_call *call)
{
    api_token_make(call, call->account->id);
}

/* --- Revoking --- */

void api_token_revoked(void *user, int error)
{
    struct api_call *call = user;
    if (error == ACCOUNTS_UNKNOWN)
        api_answer_unknown(call, "token");
    else
        api_user_done(call, error);
}

void api_token_delete(struct api_call *call)
{
    accounts_revoke_token(call->api->accounts, call->account->id, call->ids[0], api_token_revoked,
                          call);
}
