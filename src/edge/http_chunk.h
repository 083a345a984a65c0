/* A chunk-size line (RFC 9112 7.1), byte by byte. Strict: nothing but hexadecimal digits, then
 * well-formed extensions (which are dropped) without spaces, then CRLF. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "edge/http_scan.h"

/* Extensions are rare and short; the line is nobody's place to hide megabytes in. */
#define HTTP_CHUNK_LINE_MAX 256

struct http_chunk {
    uint64_t size; /* bytes, at most INT64_MAX; valid with HTTP_SCANNED_WHOLE */
    uint16_t length;
    uint8_t state, digits;
};

void http_chunk_init(struct http_chunk *chunk);
/* As http_scan_feed(). */
enum http_scanned http_chunk_feed(struct http_chunk *chunk, const char *bytes, size_t length,
                                  size_t *ret_taken) __attribute__((warn_unused_result));
