/* The listeners of sockets with a port of their own: one for each that is served now. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "net/loop.h"
#include "registry/registry.h"

struct socket_listener;

/* A visitor; fd is the callee's. */
typedef void socket_listener_on_visitor(void *user, const struct socket_facts *facts, int fd,
                                        const union address *peer);

struct socket_listeners { /* zeroed but for these three */
    struct loop *loop;
    socket_listener_on_visitor *on_visitor;
    void *user;
    struct socket_listener *by_id;
};

/* Listens on the facts' port of `bind`; 0 when it did already. A reference is kept. 0 or a negative
 * errno. */
int socket_listener_open(struct socket_listeners *listeners, const union address *bind,
                         const struct socket_facts *facts) __attribute__((warn_unused_result));
/* One that isn't open is fine. */
void socket_listener_close(struct socket_listeners *listeners, uint64_t id);
void socket_listener_close_all(struct socket_listeners *listeners);
