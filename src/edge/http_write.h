/* Heads, written anew from what was parsed (RFC 9110 7.6): what goes on is what we understood. */
#pragma once

#include "edge/http_buffer.h"
#include "edge/http_head.h"
#include "edge/http_visit.h"

/* For the service, always as HTTP/1.1. cdn_id: struct http_visit_options's. */
void http_write_request(const struct http_head *head, const struct http_forward *forward,
                        const char *cdn_id, struct http_buffer *buffer);

/* How an answer's head goes on to the visitor. */
struct http_write_answer {
    enum http_framing framing; /* that the body will have there */
    bool is_http10;            /* the visitor speaks HTTP/1.0 */
    bool closes;               /* its connection ends after the answer */
};
void http_write_answer(const struct http_head *head, const struct http_write_answer *how,
                       struct http_buffer *buffer);
/* How an answer of our own is written. */
struct http_write_own {
    const char *date; /* NULL: without one */
    bool to_head;     /* to a request HEAD: without the body */
    bool is_http10, closes;
};
void http_write_own(const struct http_answer *answer, const struct http_write_own *how,
                    struct http_buffer *buffer);
