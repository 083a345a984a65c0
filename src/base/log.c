#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/utf8.h"

/* Beyond it a line is cut: a peer's text can't fill the disk by one line, and a pipe takes 4 KiB in
 * one piece. */
#define LINE_SIZE 4096
/* Kept free for what closes a line: the cut's mark, quote, brace, newline. */
#define LINE_RESERVE 16
#define MESSAGE_SIZE 2048

struct line {
    char bytes[LINE_SIZE];
    size_t size;
    enum log_format format;
};

static _Atomic int least_level = LOG_INFO;
static _Atomic int line_format = LOG_TEXT_FORMAT;

static const char *const level_names[] = {"debug", "info", "warning", "error"};

void log_configure(enum log_level least, enum log_format format)
{
    atomic_store_explicit(&least_level, least, memory_order_relaxed);
    atomic_store_explicit(&line_format, format, memory_order_relaxed);
}

bool log_is_on(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&least_level, memory_order_relaxed);
}

static bool has_room(const struct line *line, size_t size)
{
    return line->size + size + LINE_RESERVE <= LINE_SIZE;
}

static void put(struct line *line, const char *text)
{
    size_t length = strlen(text);
    if (line->size + length > LINE_SIZE)
        return;
    memcpy(line->bytes + line->size, text, length);
    line->size += length;
}

/* One character, or one byte of what isn't UTF-8, as it stands in a line. Returns how many bytes of
 * text it was. */
static size_t escape(const struct line *line, const char *text, bool quoted, char out[8])
{
    bool json = line->format == LOG_JSON_FORMAT;
    size_t length = utf8_length(text);
    if (length == 0) {
        snprintf(out, 8, json ? "\\\\x%02x" : "\\x%02x", (unsigned char)*text);
        return 1;
    }
    if (text[0] == '\n' || text[0] == '\r' || text[0] == '\t') {
        snprintf(out, 8, "\\%c", text[0] == '\n' ? 'n' : text[0] == '\r' ? 'r' : 't');
    } else if (utf8_is_control(text, length)) {
        unsigned code = (unsigned char)text[length - 1];
        snprintf(out, 8, json ? "\\u%04x" : "\\x%02x", code);
    } else if (text[0] == '\\' || (text[0] == '"' && quoted)) {
        snprintf(out, 8, "\\%c", text[0]);
    } else {
        memcpy(out, text, length);
        out[length] = 0;
    }
    return length;
}

static void put_escaped(struct line *line, const char *text, bool quoted)
{
    const char *at = text;
    while (*at) {
        char out[8];
        size_t length = escape(line, at, quoted, out);
        if (!has_room(line, strlen(out))) {
            put(line, "...");
            return;
        }
        put(line, out);
        at += length;
    }
}

static void put_quoted(struct line *line, const char *text)
{
    put(line, "\"");
    put_escaped(line, text, true);
    put(line, "\"");
}

/* A value that could be taken for something else is put in quotes. */
static bool needs_quotes(const char *text)
{
    if (!*text)
        return true;
    for (const unsigned char *at = (const unsigned char *)text; *at; at++)
        if (*at <= ' ' || *at == '"' || *at == '=' || *at == '\\' || *at >= 0x7f)
            return true;
    return false;
}

static void put_field(struct line *line, const struct log_field *field)
{
    char number[24];
    bool json = line->format == LOG_JSON_FORMAT;
    put(line, json ? ",\"" : " ");
    put(line, field->key);
    put(line, json ? "\":" : "=");
    if (!field->text) {
        snprintf(number, sizeof number, "%lld", (long long)field->number);
        put(line, number);
    } else if (json || needs_quotes(field->text)) {
        put_quoted(line, field->text);
    } else {
        put_escaped(line, field->text, false);
    }
}

static void put_head(struct line *line, enum log_level level, const char *message)
{
    struct timespec now;
    struct tm tm;
    char head[96];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    snprintf(head, sizeof head,
             line->format == LOG_JSON_FORMAT
                 ? "{\"time\":\"%04d-%02d-%02dT%02d:%02d:%02d.%03dZ\",\"level\":\"%s\",\"message\":"
                 : "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ %-7s ",
             tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
             (int)(now.tv_nsec / 1000000), level_names[level]);
    put(line, head);
    if (line->format == LOG_JSON_FORMAT)
        put_quoted(line, message);
    else
        put_escaped(line, message, false);
}

static void write_line(const struct line *line)
{
    ssize_t n;
    do
        n = write(STDERR_FILENO, line->bytes, line->size);
    while (n < 0 && errno == EINTR);
}

void log_write(enum log_level level, const struct log_field *fields, const char *message, ...)
{
    struct line line;
    char text[MESSAGE_SIZE];
    va_list arguments;
    int saved_errno = errno;
    if (!log_is_on(level))
        return;
    va_start(arguments, message);
    vsnprintf(text, sizeof text, message, arguments);
    va_end(arguments);
    line.size = 0;
    line.format = (enum log_format)atomic_load_explicit(&line_format, memory_order_relaxed);
    put_head(&line, level, text);
    for (; fields && fields->key; fields++) {
        /* a number or the first characters of a text must fit, too */
        if (!has_room(&line, strlen(fields->key) + 32))
            break;
        put_field(&line, fields);
    }
    put(&line, line.format == LOG_JSON_FORMAT ? "}\n" : "\n");
    write_line(&line);
    errno = saved_errno;
}
