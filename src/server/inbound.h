/* The server's side of an inbound (edge/inbound.h): opens substreams towards agents for visitors.
 *
 * Where the tunnel is this worker's, the inbound is the substream itself (inbound.c). Else it is
 * one end of a link, whose other end joins the substream on the tunnel's worker (inbound_link.c).
 */
#pragma once

#include "edge/inbound.h"
#include "streamplex.h"

struct worker;

/* struct inbound_host's open: local or over a link, by presence->ref. */
int inbound_open(struct worker *worker, struct presence *presence, const char *visitor,
                 const struct inbound_callbacks *callbacks, void *user,
                 struct inbound **ret_inbound) __attribute__((warn_unused_result));
/* The tunnel is one of this worker's. */
int inbound_open_local(struct worker *worker, struct presence *presence, const char *visitor,
                       const struct inbound_callbacks *callbacks, void *user,
                       struct inbound **ret_inbound) __attribute__((warn_unused_result));
/* It is another's. */
int inbound_open_remote(struct worker *worker, struct presence *presence, const char *visitor,
                        const struct inbound_callbacks *callbacks, void *user,
                        struct inbound **ret_inbound) __attribute__((warn_unused_result));
/* struct inbound_host's tell_visit: to this worker's tunnel, or by message to another's. */
void inbound_tell_visit(struct worker *worker, struct presence *presence, const char *json,
                        size_t length);

/* The engine's callbacks for substreams of kind PLEX_INBOUND, whose user is the inbound. */
void inbound_on_event(struct plex_substream *substream, enum plex_event event, const char *text);
void inbound_on_error(struct plex_substream *substream, const char *message, const char *code);
void inbound_on_data(struct plex_substream *substream, const void *data, size_t length);
void inbound_on_end(struct plex_substream *substream);
void inbound_on_gone(struct plex_substream *substream, int reason);
size_t inbound_on_pull(struct plex_substream *substream, void *buffer, size_t capacity);
