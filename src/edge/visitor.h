/* One visitor of the edge, for edge.c and the visitor*.c.
 *
 *   [PROXY] -> [HELLO] -> [HANDSHAKE] -> HTTP | RAW -> OVER
 *
 *   visitor.c          life: callbacks, deadlines, the one door out
 *   visitor_route.c    the first bytes, and to which socket and worker they lead
 *   visitor_access.c   whether it is let in
 *   visitor_inbound.c  the inbound of a visitor: opened, tried with the next agent, given up
 *   visitor_http.c     the HTTP end of the relay
 *   visitor_request.c  what becomes of a request: our own answer, or an inbound
 *   visitor_raw.c      bytes as they are
 *   visitor_record.c   what is told of a visit
 *
 * The visitor is the owner of a relay: its active end is the inbound, its passive end the
 * connection, for HTTP with a http_visit between. Callbacks of relay and http_visit only note what
 * happened; visitor_work() acts on it when no call of theirs is on the stack. So a visitor ends
 * there, in visitor_close(), and nowhere else.
 */
#pragma once

#include "base/address.h"
#include "edge/edge_internal.h"
#include "edge/hello.h"
#include "edge/http_visit.h"
#include "edge/proof.h"
#include "net/conn.h"
#include "net/relay.h"
#include "net/timer.h"

#define VISITOR_TRIES 8 /* agents that one visit is offered to */

enum visitor_phase {
    VISITOR_PROXY,     /* a trusted peer may send a PROXY header */
    VISITOR_HELLO,     /* the ClientHello is awaited */
    VISITOR_HANDSHAKE, /* TLS is ours */
    VISITOR_HTTP,
    VISITOR_RAW,
    VISITOR_OVER,
};

/* Whether the request under way is let in. */
enum visitor_access {
    VISITOR_ACCESS_NEW,
    VISITOR_ACCESS_PROVING, /* its password is being checked */
    VISITOR_ACCESS_PROVED,  /* or there is none to check */
    VISITOR_ACCESS_WRONG,
    VISITOR_ACCESS_LATER, /* after proof_wait */
};

/* How an inbound went away by itself. */
enum visitor_gone {
    GONE_NOT,
    GONE_ORDERLY, /* closed, after both sides had ended */
    GONE_REFUSED, /* the agent couldn't reach its service */
    GONE_TUNNEL,
    GONE_BROKEN, /* the service reset it */
};

struct visitor {
    struct relay relay; /* first */
    struct visitor *next, *previous;
    struct edge *edge;
    struct conn *conn;
    struct inbound *inbound; /* NULL: none */
    struct timer timer;
    struct loop_deferred deferred; /* visitor_work() when a callback may not do it itself */

    /* Where it leads. References. */
    struct socket_facts *facts; /* of the last request, or of the connection; NULL: none */
    struct presence *presence;  /* which serves it, served it last, or is to be asked first */
    struct presence *tried[VISITOR_TRIES];
    uint64_t inbound_socket; /* the socket to which `inbound` leads */

    unsigned char *seen; /* what was read before it was routed, or NULL */
    size_t seen_size, seen_room;

    struct http_visit *http; /* or NULL */
    struct http_visit_options http_options;
    char *accept; /* of the request under way, or NULL */

    /* Access. */
    struct socket_load *load;       /* reference: counted among its visitors; NULL: nowhere */
    struct socket_facts *certified; /* reference: as they were when a certificate was asked for */
    char *subject;                  /* of that certificate, once it was needed */
    char *authorization;            /* of the request under way; NULL: not needed */
    struct proof *proof;            /* being waited for, or NULL */
    struct visitor *next_waiting;   /* for the same one */
    uint64_t proof_wait;
    uint64_t moved; /* bytes through the tunnel, not told yet */

    union address peer, visitor;
    const char *error;  /* what the record says was wrong, static text; NULL: nothing */
    const char *reason; /* why it is being closed, while `closing` */
    uint64_t accepted_at;
    uint64_t request_at;          /* the first byte of the request; a connection's beginning */
    uint64_t forwarded_at;        /* the request, or the connection, entered the tunnel; 0: not */
    uint64_t answer_at;           /* the first byte back; 0: none */
    uint64_t active_at;           /* the visitor sent something of its request, or was answered */
    uint64_t bytes_in, bytes_out; /* raw ones */
    uint16_t substream;           /* of the last inbound */

    uint8_t phase; /* enum visitor_phase */
    uint8_t entry; /* enum edge_entry */
    uint8_t gone;  /* enum visitor_gone */
    uint8_t tried_count;
    uint8_t access;            /* enum visitor_access */
    bool has_proxy_header : 1; /* there is no PROXY header to come any more */
    bool is_trusted : 1;       /* the peer is one of --trusted-proxies */
    bool is_tls : 1;
    bool was_passed : 1; /* who had it before chose this worker */
    bool was_routed : 1; /* admission knows */
    bool busy : 1;       /* a call of relay or http_visit is on the stack */
    bool again : 1;      /* there is more to do */
    bool can_read : 1;   /* the connection may have bytes */

    /* The inbound. */
    bool is_connected : 1; /* the service took it */
    bool is_reused : 1;    /* it has carried a request before this one */
    bool has_others : 1;   /* more presences than the one it goes to, when it was opened */
    bool is_joined : 1;    /* the relay has its passive end */
    bool is_direct : 1;    /* raw: http_visit has no part in it any more */
    bool is_stale : 1;     /* not to be used any more: drop it */
    bool is_over : 1;      /* the service's side has ended, and all of it was passed on */
    bool is_done : 1;      /* the relay said so */
    bool has_failed : 1;   /* reading or writing the connection failed */

    /* HTTP. */
    bool has_exchange : 1;  /* a request is under way */
    bool has_answered : 1;  /* some answer has begun on this connection */
    bool holds_body : 1;    /* until a service has taken the connection */
    bool needs_route : 1;   /* the request's socket is known, and no inbound has it yet */
    bool visitor_ended : 1; /* it sends no more */
    bool service_ended : 1; /* no more goes to the service on this inbound */
    bool has_fin : 1;       /* it was seen to send no more, while nobody was reading */
    bool seen_lost : 1;     /* there was more than `seen` keeps */

    bool closing : 1; /* visitor_close() waits for the end of the turn */
    bool closes_orderly : 1;
};

/* visitor.c */
/* Takes it. */
void visitor_new(struct edge *edge, struct edge_passed *passed);
/* Attaches the socket; -1: it is closed, and nothing was told to anybody. */
int visitor_attach(struct visitor *visitor, int fd, const void *left, size_t left_size)
    __attribute__((warn_unused_result));
/* Goes on with whatever has happened. */
void visitor_work(struct visitor *visitor);
/* The same at the end of the turn. */
void visitor_work_later(struct visitor *visitor);
/* Sets the timer for the next deadline. */
void visitor_arm(struct visitor *visitor);
/* The one door out: orderly with FIN (and close_notify), else with RST. */
void visitor_close(struct visitor *visitor, bool orderly, const char *reason);
/* The connection has gone elsewhere: the visitor is no more, and admission isn't told. */
void visitor_forget(struct visitor *visitor);
/* TLS is ended here from now on; on_ready follows. */
void visitor_start_tls(struct visitor *visitor);
void visitor_free(struct visitor *visitor);

/* visitor_route.c */
void visitor_begin(struct visitor *visitor);
/* Something came in PROXY or HELLO. */
void visitor_first_bytes(struct visitor *visitor);
/* The PROXY header didn't come in its time. */
void visitor_skip_proxy(struct visitor *visitor);
/* Adds to `seen`. 0 or -1 without memory. */
int visitor_see(struct visitor *visitor, const void *bytes, size_t length)
    __attribute__((warn_unused_result));
void visitor_forget_seen(struct visitor *visitor);
/* Leads to another socket from now on, and the presence of the old one is forgotten. NULL: to none,
 * until the next request. */
void visitor_set_facts(struct visitor *visitor, const struct socket_facts *facts);
/* The connection goes to the worker of the presence that is to serve it, if that is another's and
 * it can still go: then the visitor is no more. */
bool visitor_pass(struct visitor *visitor);

/* visitor_inbound.c */
/* Opens an inbound to visitor->facts, with the presence chosen before or the next one that takes
 * it. False: none does. */
bool visitor_open(struct visitor *visitor) __attribute__((warn_unused_result));
/* The presence that visitor_open() will ask first, borrowed; NULL: none is online. */
struct presence *visitor_choose(struct visitor *visitor);
/* What was tried counts no more: for a new request. */
void visitor_forget_tries(struct visitor *visitor);
/* The inbound isn't needed any more. */
void visitor_drop_inbound(struct visitor *visitor, bool orderly);

/* visitor_http.c */
void visitor_http_start(struct visitor *visitor);
void visitor_http_work(struct visitor *visitor);
/* The inbound is open: joins the relay. */
void visitor_http_join(struct visitor *visitor);
uint64_t visitor_http_deadline(const struct visitor *visitor);
void visitor_http_late(struct visitor *visitor);

/* visitor_request.c */
extern const struct http_visit_callbacks visitor_http_callbacks;
/* The request under way goes to its service, or is answered. */
void visitor_route_request(struct visitor *visitor);
/* The service's side is over, with or without an answer. */
void visitor_service_over(struct visitor *visitor);
/* Our own page in place of the service's answer. */
void visitor_answer(struct visitor *visitor, enum page page, const char *detail);
/* The same with one more header line; name NULL: without. */
void visitor_answer_with(struct visitor *visitor, enum page page, const char *detail,
                         const char *name, const char *value);
void visitor_count_page(const struct visitor *visitor, enum page page);

/* visitor_access.c */
/* May the request under way go to visitor->facts? False: it was answered, or it waits for its proof
 * and will be asked about again. */
bool visitor_admit_request(struct visitor *visitor) __attribute__((warn_unused_result));
/* May the connection? False: the visitor is no more. */
bool visitor_admit_connection(struct visitor *visitor) __attribute__((warn_unused_result));
/* The same by its address alone. */
bool visitor_admit_address(struct visitor *visitor) __attribute__((warn_unused_result));
/* A request for visitor->facts has come. */
void visitor_keep_credentials(struct visitor *visitor, const struct http_request *request);
void visitor_forget_credentials(struct visitor *visitor);
/* What was being proved is: for proof.c. */
void visitor_proved(struct visitor *visitor, enum proof_result result, uint64_t wait);
/* It isn't among the visitors of its socket any more. */
void visitor_leave_place(struct visitor *visitor);
/* TLS is about to begin, to visitor->facts, which may want a certificate. False: the visitor is no
 * more. */
bool visitor_require_certificate(struct visitor *visitor) __attribute__((warn_unused_result));
/* What the service is told of the visitor's certificate, or NULL. Valid as long as the visitor. */
const char *visitor_subject(struct visitor *visitor);
/* Bytes have gone through the tunnel, for visitor->facts; those that were noted are told. */
void visitor_note_moved(struct visitor *visitor, size_t length);
void visitor_tell_moved(struct visitor *visitor);

/* visitor_raw.c */
/* Raw bytes between the connection and visitor->facts. */
void visitor_raw_start(struct visitor *visitor);
void visitor_raw_work(struct visitor *visitor);
uint64_t visitor_raw_deadline(const struct visitor *visitor);
void visitor_raw_late(struct visitor *visitor);

/* visitor_record.c */
/* A request is over, of HTTP. */
void visitor_record_request(struct visitor *visitor, const struct http_record *record);
/* A connection is over, of anything else. */
void visitor_record_connection(struct visitor *visitor, int status);
