/* A visit as JSON: a line for machines, and the message that tells the agent. Written straight into
 * its place, for it is written with every visit: a tree of it took a tenth of the server's time. */
#include "edge/visit_record.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "base/utf8.h"

#define MESSAGE_MAX 1000 /* STREAMPLEX.md 8.8 */
/* Texts are first allowed as much as a line may have, then ever less until all of it fits. */
#define TEXT_MAX 1024
#define TEXT_MIN 16

struct json_line {
    char *at, *end;
    size_t most;  /* of a text, before its quotes and backslashes are escaped */
    bool is_full; /* something didn't fit */
    bool has_member;
};

static void put(struct json_line *line, const char *bytes, size_t length)
{
    if (length > (size_t)(line->end - line->at)) {
        line->is_full = true;
        return;
    }
    memcpy(line->at, bytes, length);
    line->at += length;
}

static void put_key(struct json_line *line, const char *key)
{
    if (line->has_member)
        put(line, ",", 1);
    line->has_member = true;
    put(line, "\"", 1);
    put(line, key, strlen(key));
    put(line, "\":", 2);
}

/* JSON takes UTF-8 alone, and its escapes of controls are long: both become "\xHH". Returns what it
 * is in a text, before JSON's own escapes. */
static size_t put_character(struct json_line *line, const char *text, size_t step, bool is_fine)
{
    if (!is_fine) {
        char escape[8];
        for (size_t i = 0; i < step; i++) {
            snprintf(escape, sizeof escape, "\\\\x%02x", (unsigned char)text[i]);
            put(line, escape, 5);
        }
        return 4 * step;
    }
    if (*text == '"' || *text == '\\')
        put(line, "\\", 1);
    put(line, text, step);
    return step;
}

/* What most texts are made of. */
static size_t plain_length(const char *text)
{
    size_t length = 0;
    while (text[length] >= ' ' && text[length] < 0x7f && text[length] != '"' &&
           text[length] != '\\')
        length++;
    return length;
}

static void put_text(struct json_line *line, const char *text)
{
    size_t used = 0;
    put(line, "\"", 1);
    while (*text && !line->is_full) {
        size_t plain = plain_length(text);
        if (plain && used + plain <= line->most) {
            put(line, text, plain);
            text += plain;
            used += plain;
            continue;
        }
        size_t length = utf8_length(text), step = length ? length : 1;
        bool is_fine = length && !utf8_is_control(text, length);
        if (used + (is_fine ? step : 4 * step) > line->most) {
            put(line, "...", 3);
            break;
        }
        used += put_character(line, text, step, is_fine);
        text += step;
    }
    put(line, "\"", 1);
}

static void add_text(struct json_line *line, const char *key, const char *text)
{
    if (!text || !*text)
        return;
    put_key(line, key);
    put_text(line, text);
}

static void add_number(struct json_line *line, const char *key, uint64_t number)
{
    char digits[TEXT_DIGITS_MAX];
    if (number > INT64_MAX)
        number = INT64_MAX;
    put_key(line, key);
    put(line, digits, text_put_number(number, 1, digits));
}

static void add_time(struct json_line *line, uint64_t milliseconds)
{
    struct tm when = {.tm_mday = 1, .tm_year = 70};
    time_t seconds = (time_t)(milliseconds / 1000);
    gmtime_r(&seconds, &when);
    const struct {
        const char *before;
        unsigned number, digits;
    } parts[] = {
        {"\"", (unsigned)when.tm_year + 1900, 4},  {"-", (unsigned)when.tm_mon + 1, 2},
        {"-", (unsigned)when.tm_mday, 2},          {"T", (unsigned)when.tm_hour, 2},
        {":", (unsigned)when.tm_min, 2},           {":", (unsigned)when.tm_sec, 2},
        {".", (unsigned)(milliseconds % 1000), 3},
    };
    put_key(line, "time");
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        char digits[TEXT_DIGITS_MAX];
        put(line, parts[i].before, 1);
        put(line, digits, text_put_number(parts[i].number, parts[i].digits, digits));
    }
    put(line, "Z\"", 2);
}

static void add_texts(struct json_line *line, const struct visit_record *record, bool is_message)
{
    add_text(line, "service", record->service);
    if (!is_message) {
        add_text(line, "socket", record->socket);
        add_text(line, "owner", record->owner);
    }
    add_text(line, "type", record->type);
    add_text(line, "visitor", record->visitor);
    add_text(line, "method", record->method);
    add_text(line, "target", record->target);
    add_text(line, "version", record->version);
    add_text(line, "referer", record->referer);
    add_text(line, "user_agent", record->user_agent);
}

static void compose(struct json_line *line, const struct visit_record *record, bool is_message)
{
    put(line, "{\"visit\":{", is_message ? 10 : 0);
    put(line, "{", is_message ? 0 : 1);
    if (is_message)
        add_number(line, "time", record->time);
    else
        add_time(line, record->time);
    add_texts(line, record, is_message);
    add_number(line, "status", (uint64_t)record->status);
    add_text(line, "error", record->error);
    add_number(line, "bytes_in", record->bytes_in);
    add_number(line, "bytes_out", record->bytes_out);
    add_number(line, "total_us", record->total);
    if (record->answer)
        add_number(line, "answer_us", record->answer);
    if (record->service_time && !is_message)
        add_number(line, "service_us", record->service_time);
    if (record->substream)
        add_number(line, "substream", record->substream);
    put(line, "}}", is_message ? 2 : 1);
}

/* With the shortest texts it fits. */
static size_t write_fitting(const struct visit_record *record, bool is_message, char *buffer,
                            size_t capacity)
{
    for (size_t most = TEXT_MAX; most >= TEXT_MIN; most /= 2) {
        struct json_line line = {.at = buffer, .end = buffer + capacity, .most = most};
        compose(&line, record, is_message);
        if (!line.is_full)
            return (size_t)(line.at - buffer);
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
