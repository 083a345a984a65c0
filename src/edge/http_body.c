#include "edge/http_body.h"

#include <stdio.h>
#include <string.h>

#include "edge/http_buffer.h"

enum state { OVER = 0, DATA, CHUNK_LINE, CHUNK_DATA, CHUNK_CR, CHUNK_LF, TRAILERS };

void http_body_init(struct http_body *body, enum http_framing in, uint64_t length,
                    enum http_framing out)
{
    *body = (struct http_body){.in = (uint8_t)in, .out = (uint8_t)out, .left = length};
    switch (in) {
    case HTTP_FRAMING_NONE:
        break;
    case HTTP_FRAMING_LENGTH:
        body->state = length ? DATA : OVER;
        break;
    case HTTP_FRAMING_CHUNKED:
        body->state = CHUNK_LINE;
        http_chunk_init(&body->line);
        break;
    case HTTP_FRAMING_UNTIL_CLOSE:
        body->state = DATA;
        break;
    }
}

bool http_body_is_over(const struct http_body *body)
{
    return body->state == OVER;
}

/* A piece of the body, as a chunk of its own where chunks are written: so nothing has to wait. */
static int write_piece(struct http_body *body, const char *bytes, size_t length,
                       struct fifo *output)
{
    body->count += length;
    if (body->out != HTTP_FRAMING_CHUNKED)
        return fifo_push(output, bytes, length);
    char line[24];
    int size = snprintf(line, sizeof line, "%zx\r\n", length);
    if (fifo_push(output, line, (size_t)size) < 0 || fifo_push(output, bytes, length) < 0)
        return -1;
    return fifo_push(output, "\r\n", 2);
}

/* The scan found them good: name ":" value CRLF, and an empty line. */
static int write_trailers(struct http_body *body, const char *bytes, size_t length,
                          struct fifo *output)
{
    struct http_buffer text = {0};
    http_buffer_puts(&text, "0\r\n");
    for (const char *end = bytes + length - 2; bytes < end;) {
        const char *line_end = memchr(bytes, '\r', (size_t)(end - bytes));
        const char *colon = memchr(bytes, ':', (size_t)(line_end - bytes));
        struct http_text name = {bytes, (size_t)(colon - bytes)};
        struct http_text value = {colon + 1, (size_t)(line_end - colon - 1)};
        if (!http_name_fits_trailers(name)) {
            http_buffer_deinit(&text);
            return HTTP_BODY_BAD;
        }
        http_buffer_add(&text, name);
        http_buffer_field(&text, "", http_text_trim(value));
        bytes = line_end + 2;
    }
    http_buffer_puts(&text, "\r\n");
    int result = text.failed ? HTTP_BODY_NO_MEMORY : 0;
    if (!result && body->out == HTTP_FRAMING_CHUNKED &&
        fifo_push(output, text.bytes, text.length) < 0)
        result = HTTP_BODY_NO_MEMORY;
    http_buffer_deinit(&text);
    return result;
}

static long feed_data(struct http_body *body, const char *bytes, size_t length, struct fifo *output)
{
    bool is_bounded = body->in != HTTP_FRAMING_UNTIL_CLOSE;
    if (is_bounded && length > body->left)
        length = (size_t)body->left;
    if (write_piece(body, bytes, length, output) < 0)
        return HTTP_BODY_NO_MEMORY;
    if (is_bounded && (body->left -= length) == 0)
        body->state = body->in == HTTP_FRAMING_CHUNKED ? CHUNK_CR : OVER;
    return (long)length;
}

static long feed_line(struct http_body *body, const char *bytes, size_t length)
{
    size_t taken = 0;
    enum http_scanned scanned = http_chunk_feed(&body->line, bytes, length, &taken);
    if (scanned == HTTP_SCANNED_BAD)
        return HTTP_BODY_BAD;
    if (scanned == HTTP_SCANNED_WHOLE) {
        body->left = body->line.size;
        body->state = body->left ? CHUNK_DATA : TRAILERS;
        if (!body->left)
            http_gather_init(&body->trailers, HTTP_SCAN_TRAILERS);
    }
    return (long)taken;
}

static long feed_trailers(struct http_body *body, const char *bytes, size_t length,
                          struct fifo *output)
{
    size_t taken = 0, whole_length = 0;
    const char *whole = NULL;
    switch (http_gather_feed(&body->trailers, bytes, length, HTTP_TRAILERS_MAX, &taken, &whole,
                             &whole_length)) {
    case HTTP_GATHERED_MORE:
        return (long)taken;
    case HTTP_GATHERED_WHOLE:
        break;
    case HTTP_GATHERED_NO_MEMORY:
        return HTTP_BODY_NO_MEMORY;
    case HTTP_GATHERED_BAD:
    case HTTP_GATHERED_TOO_LONG:
        return HTTP_BODY_BAD;
    }
    int result = write_trailers(body, whole, whole_length, output);
    http_gather_deinit(&body->trailers);
    body->state = OVER;
    return result < 0 ? result : (long)taken;
}

static long feed_once(struct http_body *body, const char *bytes, size_t length, struct fifo *output)
{
    switch ((enum state)body->state) {
    case DATA:
    case CHUNK_DATA:
        return feed_data(body, bytes, length, output);
    case CHUNK_LINE:
        return feed_line(body, bytes, length);
    case CHUNK_CR:
        body->state = CHUNK_LF;
        return *bytes == '\r' ? 1 : HTTP_BODY_BAD;
    case CHUNK_LF:
        body->state = CHUNK_LINE;
        http_chunk_init(&body->line);
        return *bytes == '\n' ? 1 : HTTP_BODY_BAD;
    case TRAILERS:
        return feed_trailers(body, bytes, length, output);
    case OVER:
        break;
    }
    return 0;
}

long http_body_feed(struct http_body *body, const char *bytes, size_t length, struct fifo *output)
{
    size_t taken = 0;
    while (taken < length && body->state != OVER) {
        long part = feed_once(body, bytes + taken, length - taken, output);
        if (part < 0)
            return part;
        taken += (size_t)part;
    }
    return (long)taken;
}

int http_body_finish(struct http_body *body, struct fifo *output)
{
    if (body->state == OVER)
        return 0;
    if (body->in != HTTP_FRAMING_UNTIL_CLOSE)
        return HTTP_BODY_BAD;
    body->state = OVER;
    if (body->out == HTTP_FRAMING_CHUNKED && fifo_push(output, "0\r\n\r\n", 5) < 0)
        return HTTP_BODY_NO_MEMORY;
    return 0;
}

void http_body_deinit(struct http_body *body)
{
    http_gather_deinit(&body->trailers);
}
