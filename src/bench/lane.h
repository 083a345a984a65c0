/* A lane: one byte stream between the bench and a target, by one of the routes. What a mode
 * measures is the same code on each of them.
 *
 *   server   a substream of a tunnel (client_tunnel.h)
 *   hop      a TLS connection that the bare hop relays
 *   edge     a visitor's TCP connection to a tcp socket, whose agent leads to the target
 *   ssh      the same to a port that sshd forwards (ssh -R)
 *   plain    a TCP connection to the target itself
 *
 * Embed it in the mode's own object. It is free again in on_closed, or after lane_abort(). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/client.h"
#include "bench/shared.h"

struct client_tunnel;
struct conn;
struct lane;
struct plex_substream;
struct plex_callbacks;

struct lane_callbacks {
    void (*on_connected)(struct lane *lane); /* may be NULL */
    void (*on_data)(struct lane *lane, const uint8_t *bytes, size_t length);
    /* Writes up to `capacity` bytes; 0: nothing now, lane_ready() says when. May end the lane.
     * NULL: never sends. */
    size_t (*on_pull)(struct lane *lane, uint8_t *buffer, size_t capacity);
    void (*on_end)(struct lane *lane); /* the target sends no more; may be NULL */
    /* Over. error: NULL in order (`close` was seen, or both directions ended), else a sentence. */
    void (*on_closed)(struct lane *lane, const char *error);
};

struct lane {
    const struct lane_callbacks *callbacks;
    struct client *client;
    enum route route;
    enum target_kind target;
    bool is_open, early, tls_started, connected, ended, peer_ended;
    struct client_tunnel *tunnel;     /* server */
    struct plex_substream *substream; /* server */
    struct conn *conn;                /* hop, plain */
    uint8_t *left;                    /* taken from on_pull, and not yet by the socket */
    size_t left_size, left_at;
    struct client_again again; /* hop, plain */
};

/* Opens it to a target; on_connected or on_closed follow, never before this returns. tunnel:
 * ROUTE_SERVER only. early: data may be pulled before `connect` came (ROUTE_SERVER). 0 or -1. */
int lane_open(struct lane *lane, struct client *client, enum route route,
              struct client_tunnel *tunnel, enum target_kind target, bool early,
              const struct lane_callbacks *callbacks) __attribute__((warn_unused_result));
/* on_pull has something again. */
void lane_ready(struct lane *lane);
/* No more comes from us, after what on_pull gave. */
void lane_end(struct lane *lane);
/* At once; no callback follows. Takes one that isn't open. */
void lane_abort(struct lane *lane);

/* For client_tunnel.c: what substreams of a lane call back. */
void lane_fill_callbacks(struct plex_callbacks *callbacks);
