/* The log: lines on stderr, as text or as JSON objects.
 *
 * A line has a time, a level, a message (lower case, no full stop) and fields. The fields `tunnel`
 * and `substream` carry the ids of what the line is about. A line is written with one write(2), so
 * that lines of several workers don't mix. Values are escaped in both formats: nothing that a peer
 * sent can begin a new line. Never give a token to any function here.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };
enum log_format { LOG_TEXT_FORMAT, LOG_JSON_FORMAT };

struct log_field {
    const char *key;  /* NULL ends an array of fields */
    const char *text; /* NULL: the number counts */
    int64_t number;
};

/* text NULL: an empty one */
static inline struct log_field log_text_field(const char *key, const char *text)
{
    return (struct log_field){.key = key, .text = text ? text : ""};
}

#define LOG_TEXT(key_, text_)     log_text_field((key_), (text_))
#define LOG_NUMBER(key_, number_) ((struct log_field){.key = (key_), .number = (int64_t)(number_)})
#define LOG_FIELDS(...)           ((const struct log_field[]){__VA_ARGS__, {0}})
#define LOG_NO_FIELDS             ((const struct log_field *)0)

/* Process-wide; set before the workers start, and again only with values that an int store can
 * swap. */
void log_configure(enum log_level least, enum log_format format);
bool log_is_on(enum log_level level);

/* Writes one line; lines under the least level are dropped. `fields` may be LOG_NO_FIELDS.
 * Thread-safe. */
void log_write(enum log_level level, const struct log_field *fields, const char *message, ...)
    __attribute__((format(printf, 3, 4)));
