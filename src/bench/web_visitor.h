/* A visitor over HTTP: one connection, TLS on it or not, a fixed request asked as often as wanted,
 * and its answers checked. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/client.h"
#include "bench/web_answer.h"

struct conn;
struct web_visitor;

/* Where to, and what for; shared by visitors, and borrowed. */
struct web_way {
    struct client *client;
    union address to;
    struct tls_context *tls; /* NULL: plain HTTP */
    const char *name;        /* for SNI, with tls */
    char request[512];
    const uint8_t *body; /* what the answer has to have */
    size_t body_size;
    bool many_sources; /* each from another 127/8 address */
};

struct web_visitor_callbacks {
    /* The answer has come, whole and right; visitor->answer.status may still be any. It may ask
     * again, or close. */
    void (*on_answer)(struct web_visitor *visitor);
    /* After a 101: what came behind it. May be NULL. */
    void (*on_bytes)(struct web_visitor *visitor, const uint8_t *bytes, size_t length);
    /* It is closed, with a sentence why, and not by our close. */
    void (*on_lost)(struct web_visitor *visitor, const char *error);
};

struct web_visitor {
    const struct web_way *way;
    const struct web_visitor_callbacks *callbacks;
    struct conn *conn; /* NULL: closed */
    bool tls_started, ready, answered, upgraded;
    struct web_answer answer;
    uint64_t began;        /* ns: connecting */
    uint64_t asked, first; /* ns: the last request, and the first byte of its answer */
    void *user;
};

/* The request of a way: GET / of `host`. close: with `Connection: close`. */
void web_way_ask(struct web_way *way, const char *host, bool close);
/* The same to open a WebSocket. */
void web_way_ask_socket(struct web_way *way, const char *host);

/* Connects and asks; nothing is called before this returns. 0 or -1. */
int web_visitor_open(struct web_visitor *visitor, const struct web_way *way,
                     const struct web_visitor_callbacks *callbacks)
    __attribute__((warn_unused_result));
/* Asks again, after an answer. A failure comes as on_lost. */
void web_visitor_ask(struct web_visitor *visitor);
/* A few bytes after a 101, all at once. 0 or -1. */
int web_visitor_send(struct web_visitor *visitor, const void *bytes, size_t length)
    __attribute__((warn_unused_result));
/* At once, without lingering; no callback follows. Takes one that is closed, or zero. */
void web_visitor_close(struct web_visitor *visitor);
