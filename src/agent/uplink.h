/* An agent's way up: one tunnel to the server, opened again for ever.
 *
 *   opening -> up -> lost: wait (backoff.h), open again
 *                 -> goaway: another is opened at once beside it; the old one ends with its last
 *                    substream
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/tunnel_client.h"

struct uplink;

struct uplink_callbacks {
    /* A tunnel is up: messages may be sent on it. False: it is of no use; on_down follows with
     * TUNNEL_CLIENT_LOST and the text. */
    bool (*on_up)(void *user, struct plex_session *session, const char **ret_text);
    /* The tunnel that is (to be) used is over. may_retry: whether another is opened, when false
     * uplink_close() is due. text: borrowed. */
    bool (*on_down)(void *user, enum tunnel_client_end end, const char *text);
    /* As the engine has them, for substreams. on_open gets the tunnel's number, which no other had,
     * and returns whether there is a substream now, of which uplink_substream_over() will tell. */
    bool (*on_open)(void *user, struct plex_substream *substream, const char *service,
                    const char *visitor, uint64_t tunnel);
    void (*on_message)(void *user, uint64_t tunnel, const char *json, size_t length);
    /* Only of the newest tunnel. */
    size_t (*on_message_pull)(void *user, char *buffer, size_t capacity);
    /* on_data, on_end, on_gone and on_pull. */
    const struct plex_callbacks *substreams;
};

/* options: as for a tunnel; its strings and callbacks are borrowed for the uplink's life. seed: for
 * the jitter. Nothing is called back before this returns. 0 or a negative errno. */
int uplink_open(struct loop *loop, struct resolver *resolver,
                const struct tunnel_client_options *options,
                const struct uplink_callbacks *callbacks, void *user, uint64_t seed,
                struct uplink **ret_uplink) __attribute__((warn_unused_result));
/* Closes all tunnels; on_closed comes later, and the uplink is gone then. */
void uplink_close(struct uplink *uplink, void (*on_closed)(void *user));
/* A substream of that tunnel is over. */
void uplink_substream_over(struct uplink *uplink, uint64_t tunnel);
/* The network has changed: no more waiting; and a tunnel that is up is asked whether it still
 * stands. */
/* For tunnels from now on; borrowed, as the options are. */
void uplink_set_token(struct uplink *uplink, const char *token);
void uplink_network_changed(struct uplink *uplink);
/* The session of the newest tunnel while it is up, else NULL. */
struct plex_session *uplink_session(const struct uplink *uplink);
