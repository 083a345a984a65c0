/* A body on its way: read by the framing that it came with, written by that of the other side. It
 * keeps nothing but unfinished trailers. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fifo.h"
#include "edge/http_chunk.h"
#include "edge/http_gather.h"
#include "edge/http_head.h"

#define HTTP_TRAILERS_MAX 8192 /* checksums and timings, not headers */

enum http_body_fault {
    HTTP_BODY_BAD = -1,       /* its framing is broken, or a trailer is not allowed there */
    HTTP_BODY_NO_MEMORY = -2, /* of ours */
};

struct http_body {
    uint64_t left;  /* bytes to come: of the body, or of the chunk */
    uint64_t count; /* bytes of the body that came so far, without framing */
    uint8_t state;
    uint8_t in, out; /* enum http_framing */
    struct http_chunk line;
    struct http_gather trailers;
};

/* length: with HTTP_FRAMING_LENGTH. out: LENGTH for LENGTH; CHUNKED or UNTIL_CLOSE for others. */
void http_body_init(struct http_body *body, enum http_framing in, uint64_t length,
                    enum http_framing out);
bool http_body_is_over(const struct http_body *body);
/* Reads on, and writes to `output`. How many bytes were the body's (all, unless it is over), or
 * enum http_body_fault. */
long http_body_feed(struct http_body *body, const char *bytes, size_t length, struct fifo *output)
    __attribute__((warn_unused_result));
/* The connection that it came by has ended: 0 if that is its end, else enum http_body_fault. */
int http_body_finish(struct http_body *body, struct fifo *output)
    __attribute__((warn_unused_result));
void http_body_deinit(struct http_body *body); /* may be called again */
