/* One listening socket. Out of descriptors, it waits and tries again (100 ms): nothing spins, and
 * nobody is lost who still waits in the backlog. */
#pragma once

#include "base/address.h"
#include "net/loop.h"

struct acceptor;

/* The fd is the callee's: non-blocking, with TCP_NODELAY, ready for conn_attach(). */
typedef void acceptor_on_accept(struct acceptor *acceptor, int fd, const union address *peer,
                                void *user);

/* Binds and listens (SO_REUSEADDR, not SO_REUSEPORT; IPV6_V6ONLY off for [::]). 0 or a negative
 * errno. */
int acceptor_open(struct loop *loop, const union address *address, acceptor_on_accept *on_accept,
                  void *user, struct acceptor **ret_acceptor) __attribute__((warn_unused_result));
/* Takes a socket that listens already (socket activation); on failure fd is still the caller's. */
int acceptor_adopt(struct loop *loop, int fd, acceptor_on_accept *on_accept, void *user,
                   struct acceptor **ret_acceptor) __attribute__((warn_unused_result));
void acceptor_address(const struct acceptor *acceptor,
                      union address *ret_address); /* with the real port */
void acceptor_close(struct acceptor *acceptor);    /* NULL is fine */
