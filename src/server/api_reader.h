/* Requests to the API off a connection, one at a time: bytes in, a request out. The strictness is
 * that of the edge's readers (edge/http_gather.h, http_head.h, http_body.h).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "control/api.h"
#include "edge/http_body.h"
#include "edge/http_gather.h"

#define API_HEAD_MAX 16384

enum api_read {
    API_READ_MORE,     /* not all there yet */
    API_READ_CONTINUE, /* the same, and the client waits for "100 Continue" before it sends more */
    API_READ_WHOLE,    /* reader->request; then api_reader_next() */
    API_READ_REFUSED,  /* reader->status; the connection can't be read any further */
};

struct api_reader {
    struct http_gather head;
    struct http_body body;
    struct fifo content;
    bool has_head;
    /* What was read. */
    char *texts;                /* behind the request's strings */
    char *body_text;            /* NUL-terminated beyond its length */
    bool closes;                /* the client wants no further answer on this connection */
    bool is_head;               /* HEAD: the answer has no body */
    bool has_begun;             /* something of a request has come */
    int status;                 /* of the refusal */
    const char *code;           /* of it: "BAD_REQUEST", ...; static */
    struct api_request request; /* address and is_operator are left to the caller */
};

void api_reader_init(struct api_reader *reader);
/* *ret_taken: how many of the bytes were used; more than one request may come in one piece, and
 * what is left over is for after api_reader_next(). */
enum api_read api_reader_feed(struct api_reader *reader, const char *bytes, size_t length,
                              size_t *ret_taken) __attribute__((warn_unused_result));
void api_reader_next(struct api_reader *reader); /* forgets the request that was read */
void api_reader_deinit(struct api_reader *reader);
