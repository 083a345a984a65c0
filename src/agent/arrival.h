/* Arrivals: the inbound substreams of an agent's tunnels, each joined to a connection of its own to
 * the local service that it is for.
 *
 *   on_open -> connect (TCP, Unix socket, or the files of a folder) -> PROXY header -> TLS ->
 *   `connect` to the server -> relay both ways
 *
 * Idle, an arrival costs a struct of some hundred bytes, the conn and the substream: 2 KiB at most
 * without TLS to the service.
 */
#pragma once

#include <stdint.h>

#include "agent/service.h"
#include "agent/service_times.h"
#include "net/loop.h"
#include "net/resolve.h"
#include "streamplex.h"

struct arrivals;

/* Called when an arrival of that tunnel is over. */
typedef void arrivals_on_over(void *user, uint64_t tunnel);

/* services: borrowed, and as they are until the end. Opens what they need: TLS contexts, folders.
 * 0, or -1 with a sentence. */
int arrivals_new(struct loop *loop, struct resolver *resolver, const struct service_list *services,
                 arrivals_on_over *on_over, void *user, struct arrivals **ret_arrivals, char *error,
                 size_t error_size) __attribute__((warn_unused_result));
/* Every tunnel has to have closed, and the loop to have ended its turn. NULL is fine. */
void arrivals_free(struct arrivals *arrivals);
unsigned arrivals_count(const struct arrivals *arrivals);
const struct service_times *arrivals_times(const struct arrivals *arrivals);

/* The engine's on_open; tunnel: a number that no other tunnel has. An unknown service is refused.
 * True: there is an arrival, and on_over will come. */
bool arrivals_open(struct arrivals *arrivals, struct plex_substream *substream, const char *service,
                   const char *visitor, uint64_t tunnel);

/* The engine's other callbacks for these substreams. */
void arrival_on_data(struct plex_substream *substream, const void *data, size_t length);
void arrival_on_end(struct plex_substream *substream);
void arrival_on_gone(struct plex_substream *substream, int reason);
size_t arrival_on_pull(struct plex_substream *substream, void *buffer, size_t capacity);
