/* A device's tunnel: the connection to the server, the engine in the device's role on it, and the
 * token.
 *
 *   resolve and connect -> TLS -> token -> on_up: substreams may be opened; ... -> on_down
 *
 * Substreams are the engine's own: the owner opens them by plex_substream_open() on
 * tunnel_client_session() and gets their callbacks. What concerns the session as a whole is done
 * here.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "net/loop.h"
#include "net/resolve.h"
#include "net/tls.h"
#include "streamplex.h"

struct tunnel_client;

struct tunnel_client_options {
    const char *host; /* name or address; the server's certificate has to be for it */
    uint16_t port;
    const char *token;
    struct tls_context *tls; /* kept by reference */
    uint32_t features;       /* enum plex_feature to ask for; 0: the legacy wire */
    uint64_t timeout;        /* microseconds from opening to on_up; 0: none */
    /* A ping after so long without a byte from the server, and how long its pong may take;
     * microseconds. 0: 30 s and 15 s. */
    uint64_t ping_interval, ping_timeout;
    uint32_t max_substreams; /* that the server may have open; 0: the engine's default */
};

/* Why a tunnel is over. */
enum tunnel_client_end {
    TUNNEL_CLIENT_UNREACHABLE, /* no connection: name, network, refused, too late */
    TUNNEL_CLIENT_UNTRUSTED,   /* TLS failed (the connection didn't): most likely the certificate */
    TUNNEL_CLIENT_REFUSED,     /* the server doesn't know the token */
    TUNNEL_CLIENT_LOST,        /* it was up, and has ended or broken */
};

struct tunnel_client_callbacks {
    /* TCP and TLS stand: for those who want to tell it. address is its text. May be NULL. */
    void (*on_connected)(struct tunnel_client *tunnel, const char *address,
                         const char *tls_version);
    /* The token was accepted. */
    void (*on_up)(struct tunnel_client *tunnel);
    /* Over, not by tunnel_client_close(): every substream has had its on_gone. text says why, in a
     * sentence for the operator. The last callback; tunnel_client_close() is still due. */
    void (*on_down)(struct tunnel_client *tunnel, enum tunnel_client_end end, const char *text);
    /* The server takes no more substreams; those open go on. May be NULL. */
    void (*on_goaway)(struct tunnel_client *tunnel);
    /* What concerns substreams, as the engine has it: on_open, on_connect, on_timeout, on_data,
     * on_end, on_event, on_error, on_gone and on_pull; and on_message and on_message_pull. The
     * others are this file's. */
    const struct plex_callbacks *substreams;
};

/* Strings of options are copied; callbacks are borrowed until the tunnel has closed. Nothing is
 * called back before this returns. 0 or a negative errno. */
int tunnel_client_open(struct loop *loop, struct resolver *resolver,
                       const struct tunnel_client_options *options,
                       const struct tunnel_client_callbacks *callbacks, void *user,
                       struct tunnel_client **ret_tunnel) __attribute__((warn_unused_result));
/* Sends what is due, then ends the connection. Close or abort substreams first: those still open
 * get their on_gone (PLEX_SUBSTREAM_TUNNEL_GONE) before on_closed. on_closed (may be NULL) comes
 * later, never before this returns; the tunnel is gone then. May be called from every callback;
 * NULL is fine, without on_closed. */
void tunnel_client_close(struct tunnel_client *tunnel, void (*on_closed)(void *user));

void *tunnel_client_user(const struct tunnel_client *tunnel);
/* The tunnel that a session of tunnel_client_open() belongs to. */
struct tunnel_client *tunnel_client_of(const struct plex_session *session);
/* NULL before the connection stands and after on_down. */
struct plex_session *tunnel_client_session(const struct tunnel_client *tunnel);
/* Asks the server whether it is still there: without an answer within ping_timeout the tunnel ends.
 */
void tunnel_client_ping(struct tunnel_client *tunnel);
