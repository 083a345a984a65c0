/* A device's tunnel: connection, engine, token. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "bench/client.h"
#include "net/loop.h"
#include "net/timer.h"

struct conn;
struct plex_session;
struct client_tunnel;

struct client_tunnel_callbacks {
    void (*on_authed)(struct client_tunnel *tunnel);
    /* The tunnel is over, not by our close; error is a sentence. It is free after this. */
    void (*on_lost)(struct client_tunnel *tunnel, const char *error);
    /* Of its session, whose user is the tunnel, with callbacks that
     * client_tunnel_fill_callbacks() has filled; borrowed while it is open. NULL: the client's,
     * whose substreams are lanes. */
    const struct plex_config *plex;
};

struct client_tunnel {
    const struct client_tunnel_callbacks *callbacks;
    struct client *client;
    struct conn *conn;
    struct plex_session *session;
    struct loop_deferred flush;
    struct client_again again;
    struct timer deadline;
    bool authed, resumed;
    int ticket; /* which of several sessions to resume, -1: none; tickets are for one use */
    uint64_t began, authed_at; /* ns */
    void *user;
};

/* Connects, does TLS (resuming the last session that was opened with the same `ticket`; -1: none),
 * sends the token. many_sources: from one of many 127/8 addresses. 0 or -1; nothing is called
 * before this returns. */
int client_tunnel_open(struct client_tunnel *tunnel, struct client *client, bool many_sources,
                       int ticket, const struct client_tunnel_callbacks *callbacks)
    __attribute__((warn_unused_result));
/* The three callbacks of a session that are the tunnel's own: on_authed, on_output, on_resume. */
void client_tunnel_fill_callbacks(struct plex_callbacks *callbacks);
/* No callback follows. Takes one that isn't open. */
void client_tunnel_close(struct client_tunnel *tunnel);
/* A session's name in the cache of the TLS context. */
void client_ticket_key(const union address *to, int ticket, char key[ADDRESS_TEXT_MAX + 16]);
/* One tunnel, waited for. 0, or -1 with the reason said on stderr. */
int client_tunnel_open_now(struct client_tunnel *tunnel, struct client *client)
    __attribute__((warn_unused_result));
