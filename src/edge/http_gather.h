/* Collects a head, or trailers, scanning what comes. One that comes in one piece isn't copied. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "edge/http_scan.h"

enum http_gathered {
    HTTP_GATHERED_MORE = 0,
    HTTP_GATHERED_WHOLE = 1,
    HTTP_GATHERED_BAD = -1,
    HTTP_GATHERED_TOO_LONG = -2,
    HTTP_GATHERED_NO_MEMORY = -3,
};

struct http_gather {
    char *bytes; /* NULL until a head comes in pieces */
    uint32_t length, capacity;
    struct http_scan scan;
};

void http_gather_init(struct http_gather *gather, enum http_scan_kind kind);
/* max: bytes that the whole may have. With WHOLE *ret_whole is it, without an empty line before a
 * request: in `bytes` or in the gather's own memory, valid until http_gather_deinit() or the
 * end of `bytes`. *ret_taken of the bytes were used (with MORE: all). */
enum http_gathered http_gather_feed(struct http_gather *gather, const char *bytes, size_t length,
                                    size_t max, size_t *ret_taken, const char **ret_whole,
                                    size_t *ret_length) __attribute__((warn_unused_result));
void http_gather_deinit(struct http_gather *gather); /* may be called again */
