/* An API with all its neighbours faked, and the description that each answer is checked against. */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "control/api_internal.h"
#include "control/api_openapi.h"
#include "fake_accounts.h"
#include "fake_api_host.h"

struct rig {
    struct loop *loop;
    struct accounts accounts;
    struct store store;
    struct fake_host host;
    struct api *api;
    struct account *ann; /* the fake's; who asks by default. Stale after a change */
    char login[64];      /* what is sent; "" for none */
    const char *content_type, *if_none_match;
    bool is_operator, takes_gzip;
    json_t *document;
    /* the answer */
    bool is_answered;
    int status;
    char content_type_got[64], head[256], body[1 << 21];
    size_t body_length;
    json_t *json; /* NULL when it isn't */
};

static struct rig rig;

static inline void rig_settle(void)
{
    while (loop_settle(rig.loop) || rig.api->first_ready)
        ;
}

static inline void rig_open(enum api_registration registration)
{
    char error[256];
    const struct api_options options = {registration, "https://api.test"};
    memset(&rig, 0, sizeof rig);
    fake_work_is_full = false;
    assert_int_equal(loop_new(&rig.loop), 0);
    rig.accounts.loop = rig.store.loop = rig.host.loop = rig.loop;
    rig.ann = fake_account_add(&rig.accounts, "ann@a.test", ACCOUNT_ACTIVE);
    fake_login_make(rig.ann, rig.login);
    const struct api_host host = fake_host_calls(&rig.host);
    assert_int_equal(api_new(rig.loop, &rig.accounts, &rig.store, &host, &options, &rig.api, error,
                             sizeof error),
                     0);
    rig.document = json_loadb(api_openapi_text, api_openapi_size, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(rig.document);
}

static inline int rig_setup(void **state)
{
    rig_open(API_OPEN);
    return 0;
}

static inline int rig_teardown(void **state)
{
    rig.accounts.is_silent = rig.store.is_silent = rig.host.is_silent = true;
    api_free(rig.api);
    while (loop_settle(rig.loop))
        ;
    loop_free(rig.loop);
    fake_accounts_deinit(&rig.accounts);
    fake_host_deinit(&rig.host);
    json_decref(rig.document);
    json_decref(rig.json);
    return 0;
}

static inline void rig_on_answer(void *user, const struct api_answer *answer)
{
    assert_ptr_equal(user, &rig);
    assert_false(rig.is_answered);
    assert_true(answer->body_length < sizeof rig.body);
    rig.is_answered = true;
    rig.status = answer->status;
    rig.body_length = answer->body_length;
    memcpy(rig.body, answer->body, answer->body_length);
    rig.body[answer->body_length] = 0;
    snprintf(rig.content_type_got, sizeof rig.content_type_got, "%s", answer->content_type);
    snprintf(rig.head, sizeof rig.head, "%s", answer->head);
}

static inline void rig_clear(void)
{
    rig.is_answered = false;
    json_decref(rig.json);
    rig.json = NULL;
}

/* Only asks. */
static inline void rig_begin(const char *method, const char *target, const char *body,
                             size_t length)
{
    char path[2048];
    const char *query = strchr(target, '?');
    snprintf(path, sizeof path, "%.*s", query ? (int)(query - target) : 2000, target);
    const struct api_request request = {
        .method = method,
        .path = path,
        .query = query ? query + 1 : "",
        .token = rig.login,
        .content_type = rig.content_type ? rig.content_type
                        : *body          ? "application/json"
                                         : "",
        .body = body,
        .body_length = length,
        .is_operator = rig.is_operator,
        .if_none_match = rig.if_none_match,
        .takes_gzip = rig.takes_gzip,
    };
    rig_clear();
    api_handle(rig.api, &request, rig_on_answer, &rig);
    assert_false(rig.is_answered);
}

/* --- The description --- */

static inline const json_t *rig_operation(const char *method, const char *pattern)
{
    char lower[16];
    size_t i = 0;
    for (; method[i] && i < 15; i++)
        lower[i] = (char)(method[i] | 0x20);
    lower[i] = 0;
    return json_object_get(json_object_get(json_object_get(rig.document, "paths"), pattern), lower);
}

/* Follows "$ref". */
static inline const json_t *rig_resolve(const json_t *node)
{
    const char *ref = json_string_value(json_object_get(node, "$ref"));
    if (!ref)
        return node;
    char part[128];
    const json_t *at = rig.document;
    for (ref += 2; *ref;) {
        size_t length = strcspn(ref, "/");
        snprintf(part, sizeof part, "%.*s", (int)length, ref);
        at = json_object_get(at, part);
        ref += length + (ref[length] == '/');
    }
    if (!at)
        fail_msg("no %s in the document", part);
    return at;
}

static inline bool rig_is_type(const char *type, const json_t *value)
{
    return (!strcmp(type, "string") && json_is_string(value)) ||
           (!strcmp(type, "integer") && json_is_integer(value)) ||
           (!strcmp(type, "boolean") && json_is_boolean(value)) ||
           (!strcmp(type, "array") && json_is_array(value)) ||
           (!strcmp(type, "object") && json_is_object(value)) ||
           (!strcmp(type, "null") && json_is_null(value));
}

/* The part of JSON schema that the document has. NULL, or what doesn't fit. */
static inline const char *rig_fault(const json_t *schema, const json_t *value)
{
    const char *key;
    const json_t *part;
    size_t i;
    schema = rig_resolve(schema);
    const json_t *one_of = json_object_get(schema, "oneOf");
    if (one_of) {
        int fits = 0;
        json_array_foreach(one_of, i, part) fits += !rig_fault(part, value);
        return fits == 1 ? NULL : "oneOf";
    }
    const json_t *type = json_object_get(schema, "type");
    bool fits = json_is_string(type) && rig_is_type(json_string_value(type), value);
    if (json_is_array(type))
        json_array_foreach(type, i, part) fits |= rig_is_type(json_string_value(part), value);
    if (!fits)
        return "type";
    json_array_foreach(
        json_object_get(schema, "required"), i,
        part) if (!json_object_get(value, json_string_value(part))) return json_string_value(part);
    const json_t *properties = json_object_get(schema, "properties");
    if (properties && json_is_object(value))
        json_object_foreach((json_t *)value, key, part)
        {
            const json_t *property = json_object_get(properties, key);
            if (!property || rig_fault(property, part))
                return key;
        }
    if (json_is_array(value))
        json_array_foreach(value, i, part)
        {
            const char *fault = rig_fault(json_object_get(schema, "items"), part);
            if (fault)
                return fault;
        }
    return NULL;
}

/* Is the answer one that the description has? */
static inline void rig_check(const char *method, const char *target)
{
    char path[2048], allow[64], status[16], *ids[API_IDS_MAX] = {0};
    const struct api_route *route;
    snprintf(path, sizeof path, "%.*s", (int)strcspn(target, "?"), target);
    enum api_found found = api_routes_find(method, path, rig.is_operator, &route, ids, allow);
    for (int i = 0; i < API_IDS_MAX; i++)
        free(ids[i]);
    if (found != API_FOUND) {
        assert_int_equal(rig.status, found == API_OTHER_METHOD ? 405 : 404);
        return;
    }
    snprintf(status, sizeof status, "%d", rig.status);
    const json_t *operation = rig_operation(strcmp(method, "HEAD") ? method : "GET", route->path);
    const json_t *response =
        rig_resolve(json_object_get(json_object_get(operation, "responses"), status));
    if (!response)
        fail_msg("%s %s: %s isn't described: %s", method, route->path, status, rig.body);
    const json_t *content = json_object_get(response, "content");
    if (!content) {
        assert_int_equal(rig.body_length, 0);
        return;
    }
    char type[64];
    snprintf(type, sizeof type, "%.*s", (int)strcspn(rig.content_type_got, ";"),
             rig.content_type_got);
    const json_t *media = json_object_get(content, type);
    if (!media)
        fail_msg("%s %s: %s isn't described", method, route->path, type);
    if (!rig.json)
        return;
    const char *fault = rig_fault(json_object_get(media, "schema"), rig.json);
    if (fault)
        fail_msg("%s %s: %s doesn't fit: %s", method, route->path, fault, rig.body);
}

static inline void rig_finish(const char *method, const char *target)
{
    rig_settle();
    assert_true(rig.is_answered);
    if (!strcmp(rig.content_type_got, "application/json") && rig.body_length &&
        !strstr(rig.head, "Content-Encoding: ")) {
        rig.json = json_loadb(rig.body, rig.body_length, JSON_DECODE_ANY, NULL);
        assert_non_null(rig.json);
    }
    rig_check(method, target);
}

static inline int ask_bytes(const char *method, const char *target, const char *body, size_t length)
{
    rig_begin(method, target, body, length);
    rig_finish(method, target);
    return rig.status;
}

/* The status. */
static inline int ask(const char *method, const char *target, const char *body)
{
    return ask_bytes(method, target, body, strlen(body));
}

/* --- The answer --- */

static inline const char *text_of(const char *key)
{
    const char *text = json_string_value(json_object_get(rig.json, key));
    if (!text)
        fail_msg("no text %s in %s", key, rig.body);
    return text;
}

static inline json_int_t number_of(const char *key)
{
    return json_integer_value(json_object_get(rig.json, key));
}

static inline const json_t *error_part(const char *key)
{
    return json_object_get(json_object_get(rig.json, "error"), key);
}

#define assert_error(status_, code_)                                                               \
    do {                                                                                           \
        if (rig.status != (status_))                                                               \
            fail_msg("%d: %s", rig.status, rig.body);                                              \
        assert_string_equal(json_string_value(error_part("code")), (code_));                       \
    } while (0)
#define assert_says(words_)                                                                        \
    do {                                                                                           \
        if (!strstr(rig.body, (words_)))                                                           \
            fail_msg("\"%s\" isn't in %s", (words_), rig.body);                                    \
    } while (0)
