/* The strict look at the raw bytes of a head or of trailers, before any parser sees them (RFC
 * 9112). Bad are: a bare CR or LF, NUL and other control bytes, a folded line, a space or nothing
 * before a colon, a line without one, other bytes than a token's in a name, and a first line of
 * another shape. It takes bytes as they come; how they are torn makes no difference. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum http_scan_kind {
    HTTP_SCAN_REQUEST, /* an empty line before it is fine (RFC 9112 2.2) */
    HTTP_SCAN_ANSWER,
    HTTP_SCAN_TRAILERS,
};

enum http_scanned {
    HTTP_SCANNED_MORE = 0, /* not all there yet */
    HTTP_SCANNED_WHOLE = 1,
    HTTP_SCANNED_BAD = -1,
};

struct http_scan {
    uint8_t kind, state, index;
};

void http_scan_init(struct http_scan *scan, enum http_scan_kind kind);
/* Looks at the bytes that follow those of the call before. *ret_taken: with WHOLE, up to and with
 * the empty line; with MORE, all. Not to be called again after WHOLE or BAD. */
enum http_scanned http_scan_feed(struct http_scan *scan, const char *bytes, size_t length,
                                 size_t *ret_taken) __attribute__((warn_unused_result));
