#include "edge/visit_record.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "base/utf8.h"

/* How much of a line each text may take. Together with what stands between them they stay under
 * VISIT_LINE_MAX. */
#define VISITOR_MAX 64
#define METHOD_MAX  32
#define TARGET_MAX  600
#define VERSION_MAX 16
#define HEADER_MAX  300
#define ERROR_MAX   64
#define SOCKET_MAX  270
#define OWNER_MAX   140

struct line {
    char *bytes;
    size_t used;
};

/* Not by printf: a line is written with every visit. */
static void put_bytes(struct line *line, const char *bytes, size_t length)
{
    size_t room = VISIT_LINE_MAX - 1 - line->used;
    if (length > room)
        length = room;
    memcpy(line->bytes + line->used, bytes, length);
    line->used += length;
}

static void put(struct line *line, const char *text)
{
    put_bytes(line, text, strlen(text));
}

/* With zeroes before it up to so many digits. */
static void put_number(struct line *line, uint64_t number, unsigned digits)
{
    char text[TEXT_DIGITS_MAX];
    put_bytes(line, text, text_put_number(number, digits, text));
}

/* How many characters go out as they are, which is nearly always all of them. */
static size_t plain_length(const char *text)
{
    size_t length = 0;
    while (text[length] >= ' ' && text[length] <= '~' && text[length] != '"' &&
           text[length] != '\\')
        length++;
    return length;
}

/* Escaped so that it can neither end its quotes nor steer a terminal; `empty` for none. */
static void put_text(struct line *line, const char *text, size_t most, const char *empty)
{
    size_t end = line->used + most;
    if (!text || !*text)
        text = empty;
    while (*text) {
        char piece[16];
        size_t plain = plain_length(text), room = end - line->used;
        if (plain) {
            size_t taken = plain < room ? plain : room;
            put_bytes(line, text, taken);
            if (taken < plain) {
                put(line, "...");
                return;
            }
            text += plain;
            continue;
        }
        size_t length = utf8_length(text), step = length ? length : 1, size = 0;
        for (size_t i = 0; i < step; i++) {
            if (!length || utf8_is_control(text, length))
                size += (size_t)snprintf(piece + size, 5, "\\x%02x", (unsigned char)text[i]);
            else
                piece[size++] = text[i];
        }
        if (*text == '"' || *text == '\\')
            size = (size_t)snprintf(piece, sizeof piece, "\\%c", *text);
        if (line->used + size > end) {
            put(line, "...");
            return;
        }
        put_bytes(line, piece, size);
        text += step;
    }
}

static void put_time(struct line *line, uint64_t milliseconds)
{
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct tm when = {.tm_mday = 1, .tm_year = 70};
    time_t seconds = (time_t)(milliseconds / 1000);
    gmtime_r(&seconds, &when);
    put(line, "[");
    put_number(line, (uint64_t)when.tm_mday, 2);
    put(line, "/");
    put_bytes(line, months[when.tm_mon], 3);
    put(line, "/");
    put_number(line, (uint64_t)when.tm_year + 1900, 4);
    put(line, ":");
    put_number(line, (uint64_t)when.tm_hour, 2);
    put(line, ":");
    put_number(line, (uint64_t)when.tm_min, 2);
    put(line, ":");
    put_number(line, (uint64_t)when.tm_sec, 2);
    put(line, " +0000]");
}

static void put_seconds(struct line *line, uint64_t microseconds)
{
    put_number(line, microseconds / 1000000, 1);
    put(line, ".");
    put_number(line, microseconds / 1000 % 1000, 3);
}

static void put_share(struct line *line, const char *name, uint64_t microseconds)
{
    uint64_t tenths = microseconds / 100 + (microseconds % 100 >= 50);
    put(line, " ");
    put(line, name);
    put(line, "=");
    put_number(line, tenths / 10, 1);
    put(line, ".");
    put_number(line, tenths % 10, 1);
    put(line, "ms");
}

/* The edge's share is all that isn't the way to the answer's first byte. Clocks of two machines
 * measured: the service's share is at most that of which it is a part. */
static void put_split(struct line *line, const struct visit_record *record)
{
    uint64_t answer = record->answer < record->total ? record->answer : record->total;
    uint64_t service = record->service_time < answer ? record->service_time : answer;
    if (!record->answer)
        return;
    put_share(line, "edge", record->total - answer);
    if (!record->service_time) {
        put_share(line, "answer", answer);
        return;
    }
    put_share(line, "tunnel", answer - service);
    put_share(line, "service", service);
}

static void put_http(struct line *line, const struct visit_record *record)
{
    put(line, " - - ");
    put_time(line, record->time);
    put(line, " \"");
    put_text(line, record->method, METHOD_MAX, "-");
    if (*record->method) {
        put(line, " ");
        put_text(line, record->target, TARGET_MAX, "-");
        put(line, " ");
        put_text(line, record->version, VERSION_MAX, "-");
    }
    put(line, "\" ");
    put_number(line, (uint64_t)record->status, 3);
    put(line, " ");
    put_number(line, record->bytes_out, 1);
    put(line, " \"");
    put_text(line, record->referer, HEADER_MAX, "-");
    put(line, "\" \"");
    put_text(line, record->user_agent, HEADER_MAX, "-");
    put(line, "\" response_time=\"");
    put_seconds(line, record->total);
    put(line, " sec\"");
    put_split(line, record);
}

static void put_stream(struct line *line, const struct visit_record *record)
{
    put(line, " ");
    put_time(line, record->time);
    put(line, " TCP ");
    put_number(line, (uint64_t)record->status, 3);
    put(line, " bytes_sent:");
    put_number(line, record->bytes_out, 1);
    put(line, " bytes_received:");
    put_number(line, record->bytes_in, 1);
    put(line, " session_time: ");
    put_seconds(line, record->total);
}

static void put_record(struct line *line, const struct visit_record *record)
{
    put_text(line, record->visitor, VISITOR_MAX, "-");
    if (strncmp(record->type, "http", 4) == 0)
        put_http(line, record);
    else
        put_stream(line, record);
    if (record->error && *record->error) {
        put(line, " error=");
        put_text(line, record->error, ERROR_MAX, "");
    }
}

static size_t finish(const struct line *line)
{
    line->bytes[line->used] = '\0';
    return line->used;
}

size_t visit_record_line(const struct visit_record *record, char buffer[VISIT_LINE_MAX])
{
    struct line line = {buffer, 0};
    put_record(&line, record);
    return finish(&line);
}

size_t visit_record_access_line(const struct visit_record *record, char buffer[VISIT_LINE_MAX])
{
    struct line line = {buffer, 0};
    put_record(&line, record);
    put(&line, " socket=");
    put_text(&line, record->socket, SOCKET_MAX, "-");
    put(&line, " owner=\"");
    put_text(&line, record->owner, OWNER_MAX, "-");
    put(&line, "\"");
    return finish(&line);
}
