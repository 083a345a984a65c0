/* The agent's end of a `visit` message. */
#include "edge/visit_record.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#define TIME_MAX 253402300799999 /* the end of the year 9999 */

struct visit_message {
    json_t *whole; /* owns the texts */
    struct visit_record record;
};

/* A text that may be missing: "" then. False when it is something else. */
static bool read_text(const json_t *object, const char *key, const char **ret_text)
{
    const json_t *value = json_object_get(object, key);
    *ret_text = value ? json_string_value(value) : "";
    return *ret_text;
}

static bool read_number(const json_t *object, const char *key, uint64_t most, uint64_t *ret_number)
{
    const json_t *value = json_object_get(object, key);
    json_int_t number = json_integer_value(value);
    if ((value && !json_is_integer(value)) || number < 0 || (uint64_t)number > most)
        return false;
    *ret_number = (uint64_t)number;
    return true;
}

static bool is_type(const char *type)
{
    static const char *const types[] = {"http", "https", "tls", "tcp", "passthrough"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(type, types[i]) == 0)
            return true;
    return false;
}

static bool read_texts(const json_t *object, struct visit_record *record)
{
    record->socket = record->owner = "";
    return read_text(object, "service", &record->service) &&
           read_text(object, "type", &record->type) &&
           read_text(object, "visitor", &record->visitor) &&
           read_text(object, "method", &record->method) &&
           read_text(object, "target", &record->target) &&
           read_text(object, "version", &record->version) &&
           read_text(object, "referer", &record->referer) &&
           read_text(object, "user_agent", &record->user_agent) &&
           read_text(object, "error", &record->error) && *record->service && *record->visitor &&
           is_type(record->type);
}

static bool read_numbers(const json_t *object, struct visit_record *record)
{
    uint64_t status, substream;
    if (!read_number(object, "time", TIME_MAX, &record->time) ||
        !read_number(object, "status", 999, &status) ||
        !read_number(object, "bytes_in", INT64_MAX, &record->bytes_in) ||
        !read_number(object, "bytes_out", INT64_MAX, &record->bytes_out) ||
        !read_number(object, "total_us", INT64_MAX, &record->total) ||
        !read_number(object, "answer_us", INT64_MAX, &record->answer) ||
        !read_number(object, "substream", UINT16_MAX, &substream))
        return false;
    record->status = (int)status;
    record->substream = (uint16_t)substream;
    return true;
}

struct visit_message *visit_message_parse(const char *json, size_t length)
{
    struct visit_message *message = calloc(1, sizeof *message);
    if (!message)
        return NULL;
    message->whole = json_loadb(json, length, JSON_REJECT_DUPLICATES, NULL);
    const json_t *visit = json_object_get(message->whole, "visit");
    if (!json_is_object(visit) || !read_texts(visit, &message->record) ||
        !read_numbers(visit, &message->record)) {
        visit_message_free(message);
        return NULL;
    }
    return message;
}

struct visit_record *visit_message_record(struct visit_message *message)
{
    return &message->record;
}

void visit_message_free(struct visit_message *message)
{
    if (!message)
        return;
    json_decref(message->whole);
    free(message);
}
