/* Accepts on one loop from a listening socket, its own or one that it shares with other loops. Out
 * of descriptors, it waits and tries again (100 ms): nothing spins, and nobody is lost who still
 * waits in the backlog. */
#pragma once

#include "base/address.h"
#include "net/listening.h"
#include "net/loop.h"

struct acceptor;

/* The fd is the callee's: non-blocking, with TCP_NODELAY, ready for conn_attach(). */
typedef void acceptor_on_accept(struct acceptor *acceptor, int fd, const union address *peer,
                                void *user);

/* Binds and listens, as listening_open() does. 0 or a negative errno. */
int acceptor_open(struct loop *loop, const union address *address, acceptor_on_accept *on_accept,
                  void *user, struct acceptor **ret_acceptor) __attribute__((warn_unused_result));
/* Takes a socket that listens already (socket activation); on failure fd is still the caller's. */
int acceptor_adopt(struct loop *loop, int fd, acceptor_on_accept *on_accept, void *user,
                   struct acceptor **ret_acceptor) __attribute__((warn_unused_result));
/* Beside other loops' acceptors; takes a reference of its own. Of those that wait, the kernel wakes
 * one for each connection. After listening_stop() it rests. 0 or a negative errno. */
int acceptor_share(struct loop *loop, struct listening *listening, acceptor_on_accept *on_accept,
                   void *user, struct acceptor **ret_acceptor) __attribute__((warn_unused_result));
/* Accepts what waits now: before the close of one that shares, for a connection that it was woken
 * for is announced to no other. on_accept must not close the acceptor. */
void acceptor_accept_waiting(struct acceptor *acceptor);
void acceptor_address(const struct acceptor *acceptor,
                      union address *ret_address); /* with the real port */
void acceptor_close(struct acceptor *acceptor);    /* NULL is fine */
