/* An inbound, as the edge sees it: one substream towards an agent's service, opened for one
 * visitor connection. The tunnel may live on this worker or on another (then a link is between);
 * the edge can't tell. The server implements it (src/server/inbound*.c).
 *
 * It is a relay's active end: the agent's bytes come pushed, the visitor's are pulled.
 *
 *   inbound_host.open() -> [on_connected] -> data both ways -> on_end, inbound_end() ->
 *   inbound_close()         or on_failed at any time
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "registry/registry.h"

struct inbound;

struct inbound_callbacks {
    /* The agent's local service took the connection. May come after the first on_data. */
    void (*on_connected)(void *user);
    /* From the agent. The callee keeps what it can't pass on, and says inbound_consume() for each
     * byte that it has passed on or dropped. */
    void (*on_data)(void *user, const void *bytes, size_t length);
    /* The service sends no more. */
    void (*on_end)(void *user);
    /* Writes up to capacity bytes for the agent, and returns how many; 0: none now
     * (inbound_ready() says when there are again). May call inbound_end() and inbound_abort(). */
    size_t (*on_pull)(void *user, void *buffer, size_t capacity);
    /* Over, not by our own close or abort; inbound_close() is still due. code: "ECONNREFUSED" and
     * such from the agent ("" when it gave none), "TUNNEL_GONE" when the tunnel went, "" with
     * message "" for an orderly close by the agent after both directions ended. */
    void (*on_gone)(void *user, const char *code, const char *message);
};

/* None of these calls back before it returns. */
struct inbound_ops {
    void (*ready)(struct inbound *inbound);                  /* there may be something to pull */
    void (*consume)(struct inbound *inbound, size_t length); /* of what on_data brought */
    void (*end)(struct inbound *inbound);                    /* nothing more will be pulled */
    /* Give it up; no callback follows. close: in order if both directions have ended, else as
     * abort does. abort: by reset. NULL isn't allowed. */
    void (*close)(struct inbound *inbound);
    void (*abort)(struct inbound *inbound);
    /* The id of the substream on its tunnel, for the visit record; 0 while it isn't known. */
    uint16_t (*substream)(const struct inbound *inbound);
};

/* Embedded first by each kind of inbound. */
struct inbound {
    const struct inbound_ops *ops;
    const struct inbound_callbacks *callbacks;
    void *user;
};

/* What the server gives to the edge of each worker. */
struct inbound_host {
    void *user;
    /* Opens a substream to `presence`'s service. visitor: text of at most PLEX_VISITOR_MAX bytes.
     * The presence's count of busy substreams is kept by the host. 0, or -1: that tunnel is gone,
     * or takes no more (try another). *ret_inbound calls back from the next turn on. */
    int (*open)(void *user, struct presence *presence, const char *visitor,
                const struct inbound_callbacks *callbacks, void *callbacks_user,
                struct inbound **ret_inbound);
    /* Tells the presence's agent of a visit, as JSON text (an object of at most 1000 bytes, see
     * STREAMPLEX.md 8.8); lost when the tunnel is gone or has too many of them waiting. */
    void (*tell_visit)(void *user, struct presence *presence, const char *json, size_t length);
    unsigned worker; /* the index of this worker, to compare with presence->ref.worker */
};
