/* The head of a request or an answer, read: slices, and what they mean for this connection.
 * http-parser stands behind http_head.c alone, after the scan (http_scan.h) and below the rules
 * (http_rules.h): Debian's isn't strict, and can't be made so. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "edge/http_name.h"
#include "edge/http_text.h"

/* More than any browser or framework sends; beyond it 431, or 502 for an answer. */
#define HTTP_FIELDS_MAX 128

/* How a body ends (RFC 9112 6.3). */
enum http_framing {
    HTTP_FRAMING_NONE,
    HTTP_FRAMING_LENGTH,
    HTTP_FRAMING_CHUNKED,
    HTTP_FRAMING_UNTIL_CLOSE, /* answers only */
};

struct http_field {
    struct http_text name, value; /* the value without spaces around it */
    uint8_t id;                   /* enum http_name */
    bool is_hop;                  /* not to be passed on: of the hop, or named in Connection */
};

/* All texts point into the bytes that were parsed. */
struct http_head {
    struct http_text method, target; /* requests */
    struct http_text version;        /* requests: "HTTP/1.1" */
    struct http_text reason;         /* answers */
    int status;                      /* answers */
    int minor;                       /* of HTTP/1: 0 or 1 */

    /* What the rules found: */
    struct http_text authority; /* host and port asked for; empty for HTTP/1.0 without Host */
    struct http_text resource;  /* path and query, "*", or empty for "/" */
    enum http_framing framing;
    uint64_t length;     /* with HTTP_FRAMING_LENGTH, or as an answer without a body told it */
    bool has_length;     /* the head told a length */
    bool is_chunked;     /* the head told chunked, whether or not a body comes */
    bool closes;         /* its sender closes after this exchange, or waits for a close */
    bool is_upgrade;     /* request: to something that may be passed on */
    bool expects;        /* request: 100-continue, and a body */
    bool takes_trailers; /* request: TE has trailers */
    bool is_odd; /* answer: announces a body where none may be; don't reuse its connection */

    size_t count;
    struct http_field fields[HTTP_FIELDS_MAX]; /* last: what isn't counted isn't touched */
};

/* Reads a whole head that the scan found good. 0, or the status of our refusal: 400, 405 for
 * CONNECT, 431, 501 for a method that http-parser doesn't know, 505 for another version than
 * HTTP/1.0 and 1.1. *head is filled as far as it could be read, for the record, in any case. */
int http_head_parse_request(const char *bytes, size_t length, struct http_head *head)
    __attribute__((warn_unused_result));
/* 0 or 502. */
int http_head_parse_answer(const char *bytes, size_t length, struct http_head *head)
    __attribute__((warn_unused_result));

/* The first field of that name, or an empty text. */
struct http_text http_head_value(const struct http_head *head, enum http_name id);
/* How many fields have that name. */
size_t http_head_count(const struct http_head *head, enum http_name id);
/* Is `element` in a list that one or more fields of that name make up? */
bool http_head_lists(const struct http_head *head, enum http_name id, const char *element);
/* "Not Found"; "" for a status that nobody has named. */
const char *http_head_reason(int status);
