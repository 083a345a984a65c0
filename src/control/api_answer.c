#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "control/api_internal.h"

#define JSON_TYPE "application/json"

/* Seconds after which what failed may go well: the disk has place, the queue is shorter. */
#define RETRY_STORE 10
#define RETRY_BUSY  2

void api_answer_fixed(struct api_call *call, int status, const char *content_type, const char *body,
                      size_t length)
{
    call->status = status;
    call->content_type = content_type;
    call->fixed = body;
    call->length = length;
    api_call_ready(call);
}

/* Takes the object. When memory runs out, the status alone says it. */
static void dump(struct api_call *call, int status, json_t *object)
{
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    call->status = text ? status : 503;
    call->content_type = JSON_TYPE;
    call->text = text;
    call->fixed = text ? text : "{\"error\":{\"code\":\"OUT_OF_MEMORY\",\"message\":\"\"}}";
    call->length = strlen(call->fixed);
    api_call_ready(call);
}

void api_answer_json(struct api_call *call, json_t *object)
{
    dump(call, 200, object);
}

void api_list_append(struct api_call *call, json_t *object)
{
    if (!call->list) {
        json_decref(object);
    } else if (json_array_append_new(call->list, object) < 0) {
        json_decref(call->list);
        call->list = NULL;
    }
}

void api_answer_list(struct api_call *call)
{
    json_t *list = call->list;
    call->list = NULL;
    api_answer_json(call, list);
}

void api_answer_nothing(struct api_call *call)
{
    api_answer_fixed(call, 204, JSON_TYPE, "", 0);
}

void api_answer_shared(struct api_call *call, struct api_text *text)
{
    struct api_text *packed = call->takes_gzip ? api_text_packed(text) : NULL;
    if (packed)
        text = packed;
    bool is_known = call->if_none_match && strstr(call->if_none_match, text->etag);
    snprintf(call->head, sizeof call->head,
             "ETag: %s\r\nCache-Control: private, no-cache\r\nVary: Accept-Encoding\r\n%s",
             text->etag, packed && !is_known ? "Content-Encoding: gzip\r\n" : "");
    if (is_known) {
        api_answer_fixed(call, 304, JSON_TYPE, "", 0);
        return;
    }
    call->shared = api_text_ref(text);
    api_answer_fixed(call, 200, JSON_TYPE, text->text, text->length);
}

/* --- Errors --- */

/* A sentence that was cut may end within a character, and JSON takes none of that. */
static void make_utf8(char *text)
{
    while (*text) {
        size_t length = utf8_length(text);
        if (!length)
            *text = '?';
        text += length ? length : 1;
    }
}

void api_answer_error(struct api_call *call, int status, const char *code, unsigned retry_after,
                      const char *format, ...)
{
    char message[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    make_utf8(message);
    if (retry_after)
        snprintf(call->head, sizeof call->head, "Retry-After: %u\r\n", retry_after);
    dump(call, status, json_pack("{s:{s:s,s:s}}", "error", "code", code, "message", message));
}

void api_answer_memory(struct api_call *call)
{
    api_answer_error(call, 503, "OUT_OF_MEMORY", RETRY_STORE, "the server is out of memory");
}

void api_answer_unknown(struct api_call *call, const char *what)
{
    api_answer_error(call, 404, "NOT_FOUND", 0, "there is no such %s", what);
}

void api_answer_login(struct api_call *call, const char *code, const char *message)
{
    snprintf(call->head, sizeof call->head, "WWW-Authenticate: Bearer realm=\"streamplex\"\r\n");
    api_answer_error(call, 401, code, 0, "%s", message);
}

void api_answer_store(struct api_call *call)
{
    api_answer_error(call, 503, "STORE_FAILED", RETRY_STORE,
                     "the server can't write this down now: nothing has changed");
}

struct verdict {
    int status;
    const char *code;
    unsigned retry_after;
};

/* By -error. ACCOUNTS_WRONG and such come from a login alone, or a change of the password. */
static const struct verdict account_verdicts[] = {
    [-ACCOUNTS_BAD_EMAIL] = {422, "BAD_EMAIL", 0},
    [-ACCOUNTS_BAD_NAME] = {422, "BAD_NAME", 0},
    [-ACCOUNTS_BAD_PASSWORD] = {422, "BAD_PASSWORD", 0},
    [-ACCOUNTS_TAKEN] = {409, "EMAIL_TAKEN", 0},
    [-ACCOUNTS_WRONG] = {401, "LOGIN_FAILED", 0},
    [-ACCOUNTS_PENDING] = {401, "ACCOUNT_PENDING", 0},
    [-ACCOUNTS_DISABLED] = {401, "ACCOUNT_DISABLED", 0},
    [-ACCOUNTS_WAIT] = {429, "TOO_MANY_ATTEMPTS", 1},
    [-ACCOUNTS_BUSY] = {429, "BUSY", RETRY_BUSY},
    [-ACCOUNTS_STORE] = {503, "STORE_FAILED", RETRY_STORE},
    [-ACCOUNTS_UNKNOWN] = {404, "NOT_FOUND", 0},
    [-ACCOUNTS_EXPIRED] = {401, "LOGIN_EXPIRED", 0},
    [-ACCOUNTS_DENIED] = {401, "LOGIN_REVOKED", 0},
    [-ACCOUNTS_BAD_SCOPE] = {422, "BAD_SCOPE", 0},
    [-ACCOUNTS_MEMORY] = {503, "OUT_OF_MEMORY", RETRY_STORE},
    [-ACCOUNTS_LIMIT] = {403, "TOO_MANY_TOKENS", 0},
};

static const struct verdict registry_verdicts[] = {
    [-REGISTRY_TAKEN] = {409, NULL, 0},
    [-REGISTRY_BAD_NAME] = {422, NULL, 0},
    [-REGISTRY_NOT_ALLOWED] = {422, NULL, 0},
    [-REGISTRY_NO_PORT] = {503, NULL, RETRY_STORE},
    [-REGISTRY_OTHER_TYPE] = {409, NULL, 0},
    [-REGISTRY_TOO_MANY] = {403, NULL, 0},
    [-REGISTRY_MEMORY] = {503, NULL, RETRY_STORE},
    [-REGISTRY_STORE] = {503, NULL, RETRY_STORE},
    [-REGISTRY_DRAINING] = {503, NULL, RETRY_STORE},
    [-REGISTRY_BUSY] = {429, NULL, RETRY_BUSY},
    [-REGISTRY_UNKNOWN] = {404, "NOT_FOUND", 0},
};

static struct verdict find_verdict(const struct verdict *verdicts, size_t count, int error)
{
    static const struct verdict other = {500, "INTERNAL", 0};
    size_t index = (size_t)-error;
    return index < count && verdicts[index].status ? verdicts[index] : other;
}

void api_answer_account_error(struct api_call *call, int error, uint64_t wait)
{
    struct verdict verdict =
        find_verdict(account_verdicts, sizeof account_verdicts / sizeof account_verdicts[0], error);
    uint64_t seconds = (wait + 999999) / 1000000;
    if (error == ACCOUNTS_WAIT && seconds > 1)
        verdict.retry_after = seconds < 86400 ? (unsigned)seconds : 86400;
    if (verdict.status == 401)
        api_answer_login(call, verdict.code, account_error_text(error));
    else
        api_answer_error(call, verdict.status, verdict.code, verdict.retry_after, "%s",
                         account_error_text(error));
}

void api_answer_registry_error(struct api_call *call, int error)
{
    struct verdict verdict = find_verdict(
        registry_verdicts, sizeof registry_verdicts / sizeof registry_verdicts[0], error);
    if (error == REGISTRY_UNKNOWN)
        api_answer_unknown(call, "socket");
    else
        api_answer_error(call, verdict.status,
                         verdict.code ? verdict.code : registry_error_name(error),
                         verdict.retry_after, "%s", registry_error_text(error));
}
