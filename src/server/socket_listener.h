/* The listeners of sockets with a port of their own: one for each that is served now. The main
 * thread binds them; workers accept (server/edge_accept.h). */
#pragma once

#include <stdint.h>

#include "base/address.h"
#include "net/listening.h"
#include "registry/registry.h"

struct socket_listener;

struct socket_listeners { /* zeroed: none */
    struct socket_listener *by_id;
};

/* Listens on the facts' port of `bind`; 0 when it did already. Who comes before a worker accepts
 * waits in the backlog. 0 or a negative errno. */
int socket_listener_open(struct socket_listeners *listeners, const union address *bind,
                         const struct socket_facts *facts) __attribute__((warn_unused_result));
/* Borrowed. NULL: not open. */
struct listening *socket_listener_find(const struct socket_listeners *listeners, uint64_t id);
/* One that isn't open is fine. */
void socket_listener_close(struct socket_listeners *listeners, uint64_t id);
void socket_listener_close_all(struct socket_listeners *listeners);
