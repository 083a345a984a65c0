/* The edge's listeners, on the main thread: visitors are accepted, counted, and given to a worker.
 *
 * The ports of sockets have listeners of their own (server/sockets.h), whose visitors come through
 * edge_listen_take(), too.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "edge/edge.h"
#include "net/loop.h"
#include "server/admission.h"
#include "server/config.h"

struct edge_listen;

struct edge_listen_host {
    /* A visitor that was let in; takes it. */
    void (*give)(void *user, struct edge_passed *passed);
    _Atomic int64_t *refused; /* counts those that were not */
    void *user;
};

/* host is copied. 0 or -ENOMEM. */
int edge_listen_new(struct loop *loop, const struct edge_listen_host *host,
                    struct edge_listen **ret_listen) __attribute__((warn_unused_result));
/* Caps and trusted proxies. Keeps a reference. */
void edge_listen_configure(struct edge_listen *listen, struct config *config);
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

/* A connection that was accepted: given to a worker, or refused. Takes fd; presence (or NULL) is
 * borrowed. */
void edge_listen_take(struct edge_listen *listen, int fd, const union address *peer,
                      enum edge_entry entry, struct presence *presence);
/* Of visitors; the workers report to it. Freed with the listen. */
struct admission *edge_listen_admission(struct edge_listen *listen);
/* Nobody more comes in. */
void edge_listen_close(struct edge_listen *listen);
/* After the loop's end: nobody reports any more. NULL is fine. */
void edge_listen_free(struct edge_listen *listen);
