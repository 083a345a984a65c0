#include "control/api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "control/api_internal.h"

/* --- Calls --- */

static void free_call(struct api_call *call)
{
    struct api *api = call->api;
    if (call->previous)
        call->previous->next = call->next;
    else
        api->calls = call->next;
    if (call->next)
        call->next->previous = call->previous;
    api_password_forget(call);
    api_socket_values_free(call->values);
    socket_facts_unref(call->facts);
    account_unref(call->account);
    api_text_unref(call->shared);
    for (int i = 0; i < API_IDS_MAX; i++)
        free(call->ids[i]);
    free(call->query);
    free(call->if_none_match);
    free(call->text);
    json_decref(call->list);
    json_decref(call->body);
    free(call);
}

static void answer(struct api_call *call)
{
    const struct api_answer answer = {
        .status = call->status,
        .content_type = call->content_type,
        .head = call->head,
        .body = call->fixed,
        .body_length = call->length,
        .shared = call->shared,
    };
    call->on_answer(call->user, &answer);
    free_call(call);
}

/* Answers may bring new requests, whose answers are for this turn, too. */
static void answer_ready(struct loop_deferred *deferred)
{
    struct api *api = (struct api *)((char *)deferred - offsetof(struct api, deferred));
    struct api_call *call = api->first_ready;
    if (!call)
        return;
    api->first_ready = call->next_ready;
    if (api->first_ready)
        loop_defer(api->loop, &api->deferred);
    else
        api->last_ready = NULL;
    answer(call);
}

void api_call_ready(struct api_call *call)
{
    struct api *api = call->api;
    if (call->is_ready)
        return;
    call->is_ready = true;
    if (api->last_ready)
        api->last_ready->next_ready = call;
    else
        api->first_ready = call;
    api->last_ready = call;
    loop_defer(api->loop, &api->deferred);
}

static struct api_call *new_call(struct api *api, const struct api_request *request,
                                 api_on_answer *on_answer, void *user)
{
    struct api_call *call = calloc(1, sizeof *call);
    if (!call)
        return NULL;
    call->api = api;
    call->on_answer = on_answer;
    call->user = user;
    call->address = request->address;
    call->takes_gzip = request->takes_gzip;
    call->next = api->calls;
    if (api->calls)
        api->calls->previous = call;
    api->calls = call;
    return call;
}

/* --- What every request has to pass --- */

/* Each answers itself when it returns false. */

static bool find_route(struct api_call *call, const struct api_request *request)
{
    char allow[64];
    switch (api_routes_find(request->method, request->path, request->is_operator, &call->route,
                            call->ids, allow)) {
    case API_FOUND:
        return true;
    case API_NOT_FOUND:
    case API_BAD_PATH:
        api_answer_unknown(call, "path");
        return false;
    case API_OTHER_METHOD:
        break;
    }
    snprintf(call->head, sizeof call->head, "Allow: %s\r\n", allow);
    api_answer_error(call, 405, "METHOD_NOT_ALLOWED", 0, "this path takes %s", allow);
    return false;
}

static bool check_login(struct api_call *call, const struct api_request *request)
{
    struct account *account;
    if (call->route->who != API_ACCOUNT)
        return true;
    if (!*request->token) {
        api_answer_login(call, "LOGIN_REQUIRED", "log in first: POST /login");
        return false;
    }
    int error = accounts_check_login(call->api->accounts, request->token, strlen(request->token),
                                     &account, &call->claims);
    if (!error) {
        call->account = account_ref(account);
        return true;
    }
    if (error == ACCOUNTS_EXPIRED)
        api_answer_login(call, "LOGIN_EXPIRED", "this login has expired: log in again");
    else if (error == ACCOUNTS_DENIED)
        api_answer_login(call, "LOGIN_REVOKED", "this login was logged out: log in again");
    else if (error == ACCOUNTS_DISABLED)
        api_answer_login(call, "ACCOUNT_DISABLED", "this account is disabled");
    else
        api_answer_login(call, "LOGIN_INVALID", "this is no login of this server");
    return false;
}

/* "application/json", with parameters or without; or nothing. A form from another site's page can't
 * have it. */
static bool is_json_type(const char *type)
{
    static const char json[] = "application/json";
    size_t length = strcspn(type, "; \t");
    return !length || (length == sizeof json - 1 && !strncasecmp(type, json, length));
}

static bool take_body(struct api_call *call, const struct api_request *request)
{
    char reason[128];
    if (!call->route->has_body)
        return true;
    if (request->body_length > API_BODY_MAX) {
        api_answer_error(call, 413, "BODY_TOO_LARGE", 0, "the body has more than %d bytes",
                         API_BODY_MAX);
        return false;
    }
    if (request->body_length && !is_json_type(request->content_type)) {
        api_answer_error(call, 415, "NOT_JSON", 0, "the body must be application/json");
        return false;
    }
    if (api_json_parse(request->body, request->body_length, &call->body, reason, sizeof reason) ==
        0)
        return true;
    api_answer_error(call, 400, "BAD_JSON", 0, "%s", reason);
    return false;
}

static bool copy_rest(struct api_call *call, const struct api_request *request)
{
    const char *tag = request->if_none_match ? request->if_none_match : "";
    call->query = *request->query ? strdup(request->query) : NULL;
    call->if_none_match = *tag ? strdup(tag) : NULL;
    if ((*request->query && !call->query) || (*tag && !call->if_none_match)) {
        api_answer_memory(call);
        return false;
    }
    return true;
}

/* Without memory for a call there is no answer that could wait. */
static void answer_at_once(api_on_answer *on_answer, void *user)
{
    static const char body[] = "{\"error\":{\"code\":\"OUT_OF_MEMORY\",\"message\":\"\"}}";
    const struct api_answer answer = {503, "application/json", "", body, sizeof body - 1, NULL};
    on_answer(user, &answer);
}

void api_handle(struct api *api, const struct api_request *request, api_on_answer *on_answer,
                void *user)
{
    struct api_call *call = new_call(api, request, on_answer, user);
    if (!call)
        answer_at_once(on_answer, user);
    else if (find_route(call, request) && check_login(call, request) && take_body(call, request) &&
             copy_rest(call, request))
        call->route->run(call);
}

/* --- Life --- */

int api_configure(struct api *api, const struct api_options *options)
{
    char *url = strdup(options->public_url ? options->public_url : "");
    if (!url)
        return -1;
    free(api->public_url);
    api->public_url = url;
    api->registration = options->registration;
    api_cache_drop(api, NULL);
    return 0;
}

int api_new(struct loop *loop, struct accounts *accounts, struct store *store,
            const struct api_host *host, const struct api_options *options, struct api **ret_api,
            char *error, size_t error_size)
{
    struct api *api = calloc(1, sizeof *api);
    if (!api) {
        snprintf(error, error_size, "out of memory");
        return -1;
    }
    api->loop = loop;
    api->accounts = accounts;
    api->store = store;
    api->host = *host;
    api->deferred.run = answer_ready;
    if (api_configure(api, options) < 0 || login_delay_new(&api->registrations) < 0 ||
        api_password_open(api) < 0) {
        snprintf(error, error_size, "out of memory");
        api_free(api);
        return -1;
    }
    if (api_tunnels_open(api, error, error_size) < 0) {
        api_free(api);
        return -1;
    }
    *ret_api = api;
    return 0;
}

void api_free(struct api *api)
{
    if (!api)
        return;
    loop_undefer(api->loop, &api->deferred);
    while (api->calls)
        free_call(api->calls);
    api_password_close(api);
    api_cache_drop(api, NULL);
    api_tunnels_close(api);
    login_delay_free(api->registrations);
    free(api->public_url);
    free(api);
}
