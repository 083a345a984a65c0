/* The edge's listeners, on the main thread: it binds them, and says how many may come in; workers
 * accept (server/edge_accept.h). The ports of sockets have listeners of their own
 * (server/sockets.h).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "edge/edge.h"
#include "net/listening.h"
#include "server/admission.h"
#include "server/config.h"
#include "server/edge_accept.h"

struct edge_listen;

struct edge_listen_host {
    /* Every worker is to accept there; takes references of its own. */
    void (*share)(void *user, struct listening *listening, enum edge_entry entry);
    void *user;
};

/* host is copied. 0 or -ENOMEM. */
int edge_listen_new(const struct edge_listen_host *host, struct edge_listen **ret_listen)
    __attribute__((warn_unused_result));
/* Caps. */
void edge_listen_configure(struct edge_listen *listen, const struct config *config);
/* Listens on the address, or on the socket passed by a service manager (fd >= 0). 0, or -1 with a
 * sentence in `error`. */
int edge_listen_open(struct edge_listen *listen, enum edge_entry entry,
                     const union address *address, int fd, char *error, size_t error_size)
    __attribute__((warn_unused_result));
/* "edge-http", "edge-https", "shared-443": what the service manager's units call their sockets.
 * False: it is none of these. */
bool edge_listen_entry_of(const char *name, enum edge_entry *ret_entry);

size_t edge_listen_count(const struct edge_listen *listen);
/* Valid until the listen is freed. */
const union address *edge_listen_address(const struct edge_listen *listen, size_t index,
                                         enum edge_entry *ret_entry);
/* The port of the first listener of this kind, 0: there is none. */
uint16_t edge_listen_port(const struct edge_listen *listen, enum edge_entry entry);

/* These two are all workers', and freed with the listen. */
struct admission *edge_listen_admission(struct edge_listen *listen);
struct edge_refusals *edge_listen_refusals(struct edge_listen *listen);
/* Nobody more comes in. */
void edge_listen_close(struct edge_listen *listen);
/* After the workers' end: nobody reports any more. NULL is fine. */
void edge_listen_free(struct edge_listen *listen);
