/* An outbound: one substream of a device, the dial of its target, and the relay between the two.
 *
 * opened -> asked to connect -> policy and dial -> (TLS) -> relayed -> over. One log line when it
 * is over. A tunnel that closes after the device's `end` leaves an outbound with data behind for a
 * while (outbound_linger.c).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "streamplex.h"

struct tunnel;
struct worker;
struct outbound;

/* The engine's callbacks for substreams of a server session; the substream's user is its outbound.
 */
void outbound_on_open(struct plex_substream *substream, enum plex_kind kind, const char *service,
                      const char *visitor);
void outbound_on_connect(struct plex_substream *substream, const char *host, uint16_t port);
void outbound_on_timeout(struct plex_substream *substream, uint32_t milliseconds);
void outbound_on_data(struct plex_substream *substream, const void *data, size_t length);
void outbound_on_end(struct plex_substream *substream);
void outbound_on_gone(struct plex_substream *substream, int reason);
size_t outbound_on_pull(struct plex_substream *substream, void *buffer, size_t capacity);

/* Ends the outbounds that a worker still has without their tunnels. */
void outbound_linger_stop(struct worker *worker);
