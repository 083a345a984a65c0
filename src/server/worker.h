/* A worker: a thread with its loop, and the tunnels that live on it.
 *
 * Everything of a tunnel is touched by its worker alone. The main thread speaks to a worker by
 * messages (worker_post_... below), and hears from it by messages to its own loop.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "edge/edge.h"
#include "net/loop.h"
#include "net/resolve.h"
#include "net/tls.h"
#include "server/admission.h"
#include "server/auth.h"
#include "server/config.h"
#include "server/counters.h"
#include "streamplex.h"

struct tunnel;
struct edge_accept;
struct edge_refusals;
struct listening;
struct outbound_linger;
struct sockets;
struct worker;

/* What the main thread makes anew at each reload, for each worker its own. */
struct worker_setup {
    struct config *config;
    struct tls_context *tls, *tls_old, *tls_client; /* tls_old: NULL without old listener */
    struct tls_context *tls_edge;                   /* for visitors; NULL without an edge */
};

/* What a worker needs of the rest of the server; borrowed, outlives it. */
struct worker_host {
    struct loop *loop; /* the main thread's */
    struct auth *auth;
    struct admission *admission;
    /* All workers, for messages between them; complete before the first tunnel comes. */
    struct worker **workers;
    size_t worker_count;
    /* The next three are NULL without an edge. */
    struct admission *visitors;
    struct edge_refusals *refusals;
    struct sockets *sockets;
    struct guard *guard;
    /* On the main loop: a visitor of --shared-443 turned out to be a device. Takes it. */
    void (*on_tunnel)(void *user, struct edge_passed *passed);
    /* On the main loop: a visitor asked for the API. Takes it. NULL: there is none. */
    void (*on_api)(void *user, struct edge_passed *passed);
    /* On the main loop: the worker has been told to drain and its last tunnel and visitor are gone.
     */
    void (*on_drained)(void *user);
    void *user;
};

/* What is over but may still be on the stack: embedded, and freed at the end of the turn. */
struct reclaim {
    struct reclaim *next;
    void (*free)(struct reclaim *reclaim);
};

/* Where a tunnel is, for answers that come later: valid as long as the generation is the slot's. */
struct tunnel_slot {
    struct tunnel *tunnel; /* NULL: free, and next_free counts */
    uint32_t generation;
    uint32_t next_free;
};

struct worker {
    struct loop *loop;
    pthread_t thread;
    unsigned index;
    const struct worker_host *host;
    struct worker_setup setup;
    struct plex_config plex; /* of every session here */
    struct plex_budget budget;
    struct resolver *resolver;
    struct counters counters;

    struct tunnel *tunnels; /* all of them */
    uint32_t tunnel_count;
    struct tunnel_slot *slots;
    uint32_t slot_count, free_slot; /* free_slot == slot_count: none */

    struct outbound_linger *lingers; /* outbounds whose tunnels closed before all was delivered */
    uint32_t linger_count;
    size_t linger_bytes; /* held by them when they began */

    struct directory *directory; /* these three are NULL without an edge */
    struct edge *edge;
    struct edge_accept *accept;
    struct edge_host edge_host;

    struct reclaim *reclaim; /* over in this turn, freed at its end */
    struct loop_deferred reclaim_deferred;

    struct loop_deferred
        drained_deferred; /* looks whether that was the last of a draining worker */
    bool draining, told_drained, stopped;
    _Atomic bool
        alive; /* set by the worker when it gets the main thread's heartbeat, cleared by that */

    unsigned char out[PLEX_PULL_MAX]; /* one record on its way from a session to its connection */
    unsigned char in[65536];          /* what was read, on its way to a session */
};

/* Starts the thread. Takes the setup's references. 0 or a negative errno. */
int worker_start(unsigned index, const struct worker_host *host, const struct worker_setup *setup,
                 struct worker **ret_worker) __attribute__((warn_unused_result));
/* Closes every tunnel and visitor of all these and ends their threads; what they, and `main_loop`
 * (or NULL), still had to tell each other is told. Then worker_free(). */
void worker_stop_all(struct worker *const *workers, size_t count, struct loop *main_loop);
void worker_free(struct worker *worker);
/* Both, for one alone. */
void worker_stop(struct worker *worker);

/* Main thread: a new tunnel's connection, which is the worker's from then on. */
void worker_post_accept(struct worker *worker, int fd, const union address *peer,
                        uint64_t tunnel_id, bool old);
/* The same for one that came to --shared-443. Takes it. */
void worker_post_tunnel(struct worker *worker, struct edge_passed *passed, uint64_t tunnel_id);
/* Any thread: a visitor, for the worker's edge. Takes it. */
void worker_post_visitor(struct worker *worker, struct edge_passed *passed);
/* Accepts visitors there, too; takes a reference of its own. socket: as for edge_accept_start(). */
void worker_post_listen(struct worker *worker, struct listening *listening, enum edge_entry entry,
                        uint64_t socket);
void worker_post_unlisten(struct worker *worker, uint64_t socket);
/* For the worker's directory, which takes references of its own. */
void worker_post_change(struct worker *worker, const struct registry_change *change);
/* If that tunnel is still there. reason: static text. */
void worker_post_close_tunnel(struct worker *worker, struct tunnel_ref ref, const char *reason);
void worker_post_setup(struct worker *worker, const struct worker_setup *setup);
void worker_post_drain(struct worker *worker);
void worker_post_heartbeat(struct worker *worker);

/* The worker's own: slots of tunnels, and what is given back at the end of the turn. */
int worker_take_slot(struct worker *worker, struct tunnel *tunnel, uint32_t *ret_slot,
                     uint32_t *ret_generation) __attribute__((warn_unused_result));
void worker_drop_slot(struct worker *worker, uint32_t slot);
struct tunnel *worker_find(struct worker *worker, uint32_t slot, uint32_t generation);
void worker_reclaim(struct worker *worker, struct reclaim *reclaim);
void worker_check_drained(struct worker *worker);
