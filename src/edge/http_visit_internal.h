/* The inside of a visit, for src/edge/http_visit*.c alone. */
#pragma once

#include "base/fifo.h"
#include "edge/http_body.h"
#include "edge/http_gather.h"
#include "edge/http_head.h"
#include "edge/http_texts.h"
#include "edge/http_visit.h"
#include "edge/page.h"

/* Of an answer's head: cookies and policies are long, and the service is its owner's. */
#define HTTP_ANSWER_HEAD_MAX 65536
/* With no more than this in an output, the other side is read: one TLS record can always be sent
 * while the next is read. */
#define HTTP_VISIT_LOW 16384

/* A head that waits for its route: one piece of memory, its texts point into `bytes`. */
struct http_waiting {
    struct http_head head;
    char bytes[];
};

struct http_visit {
    const struct http_visit_options *options;
    const struct http_visit_callbacks *callbacks;
    void *user;
    uint8_t state; /* enum http_visit_state */

    bool is_busy : 1; /* within run(): callbacks' calls only note what they want */
    bool tell_service : 1;
    bool tell_visitor : 1;
    bool visitor_ended : 1;
    bool service_ended : 1;
    bool is_draining : 1;
    bool is_broken : 1;
    bool is_telling : 1;
    bool tells_request : 1; /* within on_request, whose texts must stay */
    bool told_end : 1;      /* on_service_end was called */

    /* Of the exchange: */
    bool is_http10 : 1;
    bool is_head : 1;       /* method HEAD */
    bool closes : 1;        /* the visitor's connection, after it */
    bool is_held : 1;       /* the body, by the caller */
    bool has_answer : 1;    /* a final answer's head was passed on */
    bool has_bytes : 1;     /* anything came from the service */
    bool body_begun : 1;    /* a byte of the body was output */
    bool service_keeps : 1; /* as the answer's head said */
    int status;
    uint64_t bytes_in, bytes_out; /* raw */

    struct fifo pending; /* from the visitor, not parsed yet */
    struct fifo to_service, to_visitor;
    struct http_gather request_head, answer_head;
    struct http_waiting *waiting; /* ROUTING */
    char *sent;                   /* the head as it went out, while it can be sent again */
    size_t sent_length;
    struct http_body request_body, answer_body;
    struct http_texts texts;
    char *parked; /* texts of an exchange that ended within its on_request */
};

/* Within a call of the caller's; the outermost one's leave() works off what has become possible. */
bool http_visit_enter(struct http_visit *visit);
void http_visit_leave(struct http_visit *visit, bool is_outermost);

/* 0, or -1: without memory the visit was given up. */
int http_visit_push_service(struct http_visit *visit, const void *bytes, size_t length);
int http_visit_push_visitor(struct http_visit *visit, const void *bytes, size_t length);
/* To be called after something else wrote to that output. */
void http_visit_note_output(struct http_visit *visit, size_t service_before, size_t visitor_before);

/* The exchange is over: tells of it, and IDLE or CLOSING. */
void http_visit_finish(struct http_visit *visit, bool is_own, bool is_whole, bool keeps_service);
/* Ends it half done; the visitor is cut off if part of an answer was passed on. */
void http_visit_give_up(struct http_visit *visit);
bool http_visit_request_is_over(const struct http_visit *visit);

/* http_visit_request.c: takes bytes of the visitor; 0: none now. */
size_t http_visit_take_request(struct http_visit *visit, const char *bytes, size_t length);
/* http_visit_answer.c: takes bytes of the service, in EXCHANGE or RAW. */
size_t http_visit_take_answer(struct http_visit *visit, const char *bytes, size_t length);
/* http_visit_own.c: a page of ours, and CLOSING. */
void http_visit_refuse_page(struct http_visit *visit, int status);
void http_visit_bad_answer(struct http_visit *visit);
