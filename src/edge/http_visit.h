/* The HTTP/1 of one visitor connection, bytes in, bytes out: no socket, no clock, no log.
 *
 *   visitor ── feed_visitor ──▶  request, checked and re-serialised  ── service_output ──▶ service
 *   visitor ◀─ visitor_output ──  answer, checked and re-serialised  ◀─ feed_service ────  service
 *
 * One exchange at a time: a pipelined request waits, unparsed, until the answer before it is over.
 * Every head, chunk-size line and trailer is scanned strictly (http_scan.h) before http-parser sees
 * it, requests and answers alike, and what goes on is written anew from what was parsed, so that
 * the two sides can't read it differently (RFC 9112). Nothing of a body is kept beyond what was
 * fed.
 *
 *   IDLE -> HEAD -> ROUTING (on_request: forward or answer) -> EXCHANGE -> IDLE ... | RAW | CLOSING
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_visit;

enum http_visit_state {
    HTTP_VISIT_IDLE,     /* no byte of a request yet */
    HTTP_VISIT_HEAD,     /* some bytes of one */
    HTTP_VISIT_ROUTING,  /* on_request was called, and nothing decided yet */
    HTTP_VISIT_EXCHANGE, /* a request is under way, or its answer */
    HTTP_VISIT_RAW,      /* upgraded: bytes both ways as they are */
    HTTP_VISIT_CLOSING,  /* nothing more is taken; close once visitor_output is empty */
};

/* A request's head, for routing. Texts are borrowed until on_request returns, NUL-terminated. */
struct http_request {
    const char *method, *target;
    const char *path;   /* target without scheme, authority and query */
    const char *host;   /* lower case, without port and final dot; "" for HTTP/1.0 without Host */
    const char *accept; /* "" when there is none */
    const char *expect; /* likewise */
    const char *authorization; /* likewise, and "" when there are several */
    bool has_body;
    bool is_http10;
    bool is_upgrade; /* to something that is passed on */
    bool is_loop;    /* passed on by this edge too often already: see http_loop.h */
};

/* What is told of an exchange when it is over. Texts are borrowed, NUL-terminated, "" when absent.
 */
struct http_record {
    const char *method, *target, *version, *referer, *user_agent;
    int status;         /* 0: there was no answer at all */
    uint64_t bytes_in;  /* of the request's body */
    uint64_t bytes_out; /* of the answer's body (after an upgrade: raw bytes) */
    bool is_own;        /* the answer was ours */
    bool is_whole;      /* request and answer both came to their ends */
};

/* None may free the visit; from on_request, on_answer, on_done and on_service_end any other call
 * may be made but feed, from the other two those as well. */
struct http_visit_callbacks {
    /* A head is complete. http_visit_forward() or http_visit_answer(), now or later. */
    void (*on_request)(void *user, const struct http_request *request);
    /* The head of a final answer (not of a 1xx) came from the service. */
    void (*on_answer)(void *user);
    /* The exchange is over. keeps_service: its connection can carry the next request. Before the
     * next on_request. */
    void (*on_done)(void *user, const struct http_record *record, bool keeps_service);
    /* There is something in the output where there was nothing. */
    void (*on_service_output)(void *user);
    void (*on_visitor_output)(void *user);
    /* No more goes to the service on this connection (after an upgrade, or a body until its end).
     */
    void (*on_service_end)(void *user);
    /* The Date of an answer of ours, borrowed until the next call. NULL: there is no clock. */
    const char *(*date)(void *user);
};

struct http_visit_options {
    size_t head_max; /* bytes of a request's head, 16384: beyond it 431 */
    bool is_tls;     /* came by https */
    /* What the edge calls itself in CDN-Loop, a token (RFC 8586); NULL: it isn't named there. */
    const char *cdn_id;
};

/* Options and callbacks are borrowed for the visit's life. 0 or -ENOMEM. */
int http_visit_new(const struct http_visit_options *options,
                   const struct http_visit_callbacks *callbacks, void *user,
                   struct http_visit **ret_visit) __attribute__((warn_unused_result));
void http_visit_free(struct http_visit *visit); /* NULL is fine */
enum http_visit_state http_visit_state(const struct http_visit *visit);

/* Has the service all that came of the request, and is there more to come? */
bool http_visit_awaits_request(const struct http_visit *visit);
/* Would it take bytes? Read from neither side while it doesn't: that is the back-pressure. */
bool http_visit_wants_visitor(const struct http_visit *visit);
bool http_visit_wants_service(const struct http_visit *visit);
/* Takes all of at most 65536 bytes. Bad requests are answered by the visit itself (400, 405, 417,
 * 431, 501, 505: on_done tells, state CLOSING). Bad answers of the service are answered 502 where
 * nothing of the answer was passed on, else the state becomes CLOSING (the visitor must see that it
 * isn't whole: abort). */
void http_visit_feed_visitor(struct http_visit *visit, const void *bytes, size_t length);
/* While no exchange is under way, bytes of a service connection that was kept are dropped. They
 * mean that it must not carry another request, whose answer they would seem to be: close it. */
void http_visit_feed_service(struct http_visit *visit, const void *bytes, size_t length);
/* The visitor sends no more (FIN): between requests the visit is over (CLOSING); in the middle of a
 * request it is given up; while an answer is awaited that goes on. */
void http_visit_visitor_ended(struct http_visit *visit);
/* The service sends no more: the end of an answer without a length, or a broken one. */
void http_visit_service_ended(struct http_visit *visit);
/* Gives up whatever is under way (a reset, a tunnel gone, a time limit after an answer began):
 * on_done tells of an exchange, and the state becomes CLOSING. */
void http_visit_abort(struct http_visit *visit);
/* No further requests: between requests the visit is over (CLOSING), else after the answer, which
 * says Connection: close if its head hasn't been passed on yet. */
void http_visit_drain(struct http_visit *visit);
/* Is what visitor_output holds the last that the visitor gets (CLOSING, or raw bytes of a service
 * that has ended)? Then its sending side ends with it. */
bool http_visit_visitor_ends(const struct http_visit *visit);
/* Must the visitor be cut off with an error (RST) rather than closed, once in CLOSING? */
bool http_visit_is_broken(const struct http_visit *visit);

/* Output, oldest first: peek, pass on, drop. *ret_length is 0 when there is none. A drop may begin
 * the next exchange, which waits until an answer has gone: on_request may come from it. */
const void *http_visit_service_output(const struct http_visit *visit, size_t *ret_length);
void http_visit_drop_service_output(struct http_visit *visit, size_t length);
const void *http_visit_visitor_output(const struct http_visit *visit, size_t *ret_length);
void http_visit_drop_visitor_output(struct http_visit *visit, size_t length);

/* What the head gets on its way. Texts are borrowed until return. */
struct http_forward {
    const char *visitor;        /* the visitor's address, "192.0.2.1" or "2001:db8::1" */
    const char *proto;          /* "https" or "http", as the visitor sees it */
    const char *host_header;    /* Host for the service; NULL: what the visitor sent */
    const char *client_subject; /* of the certificate that the visitor proved, or NULL: what it
                                   says of one itself is dropped in any case */
    bool is_authorized;         /* by us: its Authorization was for us alone, and is dropped */
    bool is_trusted;            /* forwarding headers that came with it are kept and added to */
    bool hold_body;             /* no body goes on before http_visit_release_body() */
};
/* ROUTING -> EXCHANGE. */
void http_visit_forward(struct http_visit *visit, const struct http_forward *forward);
void http_visit_release_body(struct http_visit *visit);
/* Can the request be sent again, to another service connection? Nothing of an answer came, and no
 * byte of a body has gone out. */
bool http_visit_can_retry(const struct http_visit *visit);
/* The head is output once more, for a new service connection; what was left of the old output is
 * dropped. Only when can_retry. */
void http_visit_retry(struct http_visit *visit);

/* Our own answer in place of the service's: ROUTING, or EXCHANGE before any byte of a final answer
 * was passed on (http_visit_has_answer() is false); the service's connection isn't kept then.
 * `head` are further header lines, each ended by CRLF, or "". The body comes with its type. With a
 * request whose body hasn't been read the connection closes after it. HEAD is minded. */
struct http_answer {
    int status;
    const char *head;
    const char *content_type;
    const char *body;
    size_t body_length;
    bool closes; /* say Connection: close */
};
void http_visit_answer(struct http_visit *visit, const struct http_answer *answer);
/* Was the head of a final answer passed on to the visitor in the exchange under way? */
bool http_visit_has_answer(const struct http_visit *visit);
/* The same where no request could be read: 408 and 431, and 503 at once. */
void http_visit_refuse(struct http_visit *visit, const struct http_answer *answer);

/* Raw, and with nothing waiting: bytes may go around the visit, told by http_visit_count_raw().
 * The two ends are still told to it. */
bool http_visit_is_raw(const struct http_visit *visit);
void http_visit_count_raw(struct http_visit *visit, uint64_t in, uint64_t out);

/* Bytes that it holds beyond its struct, and those of the struct. */
size_t http_visit_held(const struct http_visit *visit);
size_t http_visit_size(void);
