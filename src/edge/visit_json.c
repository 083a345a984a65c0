/* A visit as JSON: a line for machines, and the message that tells the agent. */
#include "edge/visit_record.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "base/utf8.h"

#define MESSAGE_MAX 1000 /* STREAMPLEX.md 8.8 */
/* Texts are first allowed as much as a line may have, then ever less until all of it fits. */
#define TEXT_MAX 1024
#define TEXT_MIN 16

/* JSON takes UTF-8 alone, and its escapes of controls are long: both become "\xHH". NULL without
 * memory. */
static json_t *make_text(const char *text, size_t most)
{
    char clean[TEXT_MAX + 16];
    size_t used = 0;
    while (*text) {
        size_t length = utf8_length(text), step = length ? length : 1;
        bool is_fine = length && !utf8_is_control(text, length);
        size_t size = is_fine ? step : 4 * step;
        if (used + size > most) {
            memcpy(clean + used, "...", 3);
            used += 3;
            break;
        }
        for (size_t i = 0; i < step; i++) {
            if (is_fine)
                clean[used++] = text[i];
            else
                used += (size_t)snprintf(clean + used, 5, "\\x%02x", (unsigned char)text[i]);
        }
        text += step;
    }
    return json_stringn(clean, used);
}

static void add_text(json_t *object, const char *key, const char *text, size_t most)
{
    if (text && *text)
        json_object_set_new(object, key, make_text(text, most));
}

static void add_number(json_t *object, const char *key, uint64_t number)
{
    json_int_t most = INT64_MAX;
    json_object_set_new(object, key,
                        json_integer(number > (uint64_t)most ? most : (json_int_t)number));
}

static void add_time(json_t *object, uint64_t milliseconds)
{
    char text[64];
    struct tm when = {.tm_mday = 1, .tm_year = 70};
    time_t seconds = (time_t)(milliseconds / 1000);
    gmtime_r(&seconds, &when);
    snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03uZ", when.tm_year + 1900,
             when.tm_mon + 1, when.tm_mday, when.tm_hour, when.tm_min, when.tm_sec,
             (unsigned)(milliseconds % 1000));
    json_object_set_new(object, "time", json_string(text));
}

static json_t *compose(const struct visit_record *record, bool is_message, size_t most)
{
    json_t *object = json_object();
    if (is_message)
        add_number(object, "time", record->time);
    else
        add_time(object, record->time);
    add_text(object, "service", record->service, most);
    if (!is_message) {
        add_text(object, "socket", record->socket, most);
        add_text(object, "owner", record->owner, most);
    }
    add_text(object, "type", record->type, most);
    add_text(object, "visitor", record->visitor, most);
    add_text(object, "method", record->method, most);
    add_text(object, "target", record->target, most);
    add_text(object, "version", record->version, most);
    add_text(object, "referer", record->referer, most);
    add_text(object, "user_agent", record->user_agent, most);
    add_number(object, "status", (uint64_t)record->status);
    add_text(object, "error", record->error, most);
    add_number(object, "bytes_in", record->bytes_in);
    add_number(object, "bytes_out", record->bytes_out);
    add_number(object, "total_us", record->total);
    if (record->answer)
        add_number(object, "answer_us", record->answer);
    if (record->service_time && !is_message)
        add_number(object, "service_us", record->service_time);
    if (record->substream)
        add_number(object, "substream", record->substream);
    return is_message ? json_pack("{s:o}", "visit", object) : object;
}

/* 0 without memory. */
static size_t write_fitting(const struct visit_record *record, bool is_message, char *buffer,
                            size_t capacity)
{
    for (size_t most = TEXT_MAX; most >= TEXT_MIN; most /= 2) {
        json_t *object = compose(record, is_message, most);
        size_t length = json_dumpb(object, buffer, capacity, JSON_COMPACT);
        json_decref(object);
        if (length <= capacity)
            return length;
    }
    return 0;
}

size_t visit_record_json(const struct visit_record *record, char buffer[VISIT_LINE_MAX])
{
    return write_fitting(record, false, buffer, VISIT_LINE_MAX - 1);
}

size_t visit_record_message(const struct visit_record *record, char buffer[VISIT_LINE_MAX])
{
    return write_fitting(record, true, buffer, MESSAGE_MAX);
}
