/* Visitors come in: what one worker accepts at the edge's listeners, counts, refuses, or gives to
 * its edge.
 *
 * Each address has one listening socket (no SO_REUSEPORT: a second server must get EADDRINUSE, and
 * a service manager passes one), which the main thread binds (server/edge_listen.h,
 * server/socket_listener.h) and workers share: the kernel wakes one that has nothing to do, and a
 * visitor waits for no other thread's turn. At a socket's own port only those workers accept that
 * have a tunnel for it.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "edge/edge.h"
#include "net/listening.h"
#include "net/loop.h"
#include "registry/directory.h"
#include "server/admission.h"

struct edge_accept;

/* What all workers' refusals have in common: how many pages, and lines of the log, a second. */
struct edge_refusals {
    pthread_mutex_t mutex;
    uint64_t pages_since; /* microseconds: the second in which `pages` were sent */
    unsigned pages;
    uint64_t logged_at;
    bool has_logged;
};

struct edge_accept_host {
    struct admission *admission; /* of visitors */
    struct edge_refusals *refusals;
    struct directory *directory;
    _Atomic int64_t *refused; /* counts those that were not let in */
    /* A visitor that was let in; takes it. That of a port has its presence. */
    void (*give)(void *user, struct edge_passed *passed);
    void *user;
};

/* host is copied, what it points to outlives this. config: until edge_accept_configure(). 0 or
 * -ENOMEM. */
int edge_accept_new(struct loop *loop, const struct edge_accept_host *host,
                    const struct edge_config *config, struct edge_accept **ret_accept)
    __attribute__((warn_unused_result));
void edge_accept_configure(struct edge_accept *accept, const struct edge_config *config);
/* Accepts there, too. socket: whose port it is, for EDGE_PORT, and then as often as it is told to
 * stop again; else 0. Takes a reference of its own. 0 or a negative errno; after
 * edge_accept_close() it does nothing. */
int edge_accept_start(struct edge_accept *accept, struct listening *listening,
                      enum edge_entry entry, uint64_t socket) __attribute__((warn_unused_result));
/* One start less at the port of this socket. One that isn't there is fine. */
void edge_accept_stop(struct edge_accept *accept, uint64_t socket);
/* Nobody more comes in. */
void edge_accept_close(struct edge_accept *accept);
void edge_accept_free(struct edge_accept *accept); /* closed; NULL is fine */
