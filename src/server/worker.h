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
#include "net/loop.h"
#include "net/resolve.h"
#include "net/tls.h"
#include "server/admission.h"
#include "server/auth.h"
#include "server/config.h"
#include "server/counters.h"
#include "streamplex.h"

struct tunnel;
struct outbound;
struct outbound_linger;

/* What the main thread makes anew at each reload, for each worker its own. */
struct worker_setup {
    struct config *config;
    struct tls_context *tls, *tls_old, *tls_client; /* tls_old: NULL without old listener */
};

/* What a worker needs of the rest of the server; borrowed, outlives it. */
struct worker_host {
    struct loop *loop; /* the main thread's */
    struct auth *auth;
    struct admission *admission;
    /* On the main loop: the worker has been told to drain and its last tunnel is gone. */
    void (*on_drained)(void *user);
    void *user;
    /* All workers, for messages between them; complete before the first tunnel comes. */
    struct worker **workers;
    size_t worker_count;
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

    struct outbound *reclaim; /* over in this turn, freed at its end */
    struct loop_deferred reclaim_deferred;

    bool draining, told_drained;
    _Atomic bool
        alive; /* set by the worker when it gets the main thread's heartbeat, cleared by that */

    unsigned char out[PLEX_PULL_MAX]; /* one record on its way from a session to its connection */
    unsigned char in[65536];          /* what was read, on its way to a session */
};

/* Starts the thread. Takes the setup's references. 0 or a negative errno. */
int worker_start(unsigned index, const struct worker_host *host, const struct worker_setup *setup,
                 struct worker **ret_worker) __attribute__((warn_unused_result));
/* Closes every tunnel, ends the thread, waits for it. */
void worker_stop(struct worker *worker);

/* Main thread: a new tunnel's connection, which is the worker's from then on. */
void worker_post_accept(struct worker *worker, int fd, const union address *peer,
                        uint64_t tunnel_id, bool old);
void worker_post_setup(struct worker *worker, const struct worker_setup *setup);
void worker_post_drain(struct worker *worker);
void worker_post_heartbeat(struct worker *worker);

/* The worker's own: slots of tunnels, and outbounds whose memory is given back at the end of the
 * turn. */
int worker_take_slot(struct worker *worker, struct tunnel *tunnel, uint32_t *ret_slot,
                     uint32_t *ret_generation) __attribute__((warn_unused_result));
void worker_drop_slot(struct worker *worker, uint32_t slot);
struct tunnel *worker_find(struct worker *worker, uint32_t slot, uint32_t generation);
void worker_reclaim(struct worker *worker, struct outbound *outbound);
void worker_check_drained(struct worker *worker);
