/* A tunnel: one device's TLS connection, the engine's session on it, and who the device is.
 *
 * accepted -> TLS handshake -> session -> token -> authenticated -> closed. tunnel_close() is the
 * one door out.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "base/log.h"
#include "net/conn.h"
#include "net/loop.h"
#include "net/timer.h"
#include "streamplex.h"

struct worker;
struct auth_question;
struct grant;
struct registration;

struct tunnel {
    struct tunnel *next, *previous; /* the worker's list */
    struct worker *worker;
    struct conn *conn;
    struct plex_session *session; /* NULL until the handshake is done */
    struct timer timer;
    struct loop_deferred service;
    void *left; /* read, and not taken by the session yet */
    uint32_t left_size, left_taken;
    uint64_t id;
    uint64_t opened_at;
    char *owner;                       /* NULL until authenticated */
    struct grant *grant;               /* a reference; NULL: its token isn't an account's */
    struct plex_config *plex;          /* of the session, where the grant narrows the worker's */
    struct registration *registration; /* NULL: no message of an agent's yet */
    const char *gone_reason; /* set: the device hears nothing any more; what it sent is read */
    uint64_t gone_until;
    const char *finish_reason; /* set: closed as soon as what the session has to say is sent */
    union address peer;
    uint32_t slot, generation;
    uint32_t token_generation; /* only the answer to the newest token counts */
    uint32_t substreams, dials;
    bool old, read_on;
    bool throttled; /* its grant's bucket is empty: nothing moves until it has been filled */
};

/* Takes fd. left: what was read from it before the handshake, as conn_attach() has it; else NULL.
 */
void tunnel_open(struct worker *worker, int fd, const void *left, size_t left_size,
                 const union address *peer, uint64_t id, bool old);
/* The reason goes to the log (static text). Not from within an engine callback: tunnel_finish() is
 * for there. */
void tunnel_close(struct tunnel *tunnel, const char *reason);
/* Sends what the session still has to say, for at most 5 s, then closes. */
void tunnel_finish(struct tunnel *tunnel, const char *reason);
/* After a reload, and when the worker drains. */
void tunnel_configure(struct tunnel *tunnel);
void tunnel_drain(struct tunnel *tunnel);
/* The answer to a question that the tunnel asked. */
void tunnel_authorize(struct tunnel *tunnel, const struct auth_question *question);
/* An outbound or inbound of it is over. */
void tunnel_substream_over(struct tunnel *tunnel);

/* The session is to take bytes again, after plex_session_pause(). */
void tunnel_take_again(struct tunnel *tunnel);

/* The engine's callbacks that are about the tunnel itself. */
void tunnel_on_token(struct plex_session *session, const char *token, size_t length);
void tunnel_on_output(struct plex_session *session);
void tunnel_on_resume(struct plex_session *session);

/* The callbacks of every server session (tunnel_engine.c). */
extern const struct plex_callbacks tunnel_engine_callbacks;
