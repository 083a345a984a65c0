/* A listening socket that any number of loops accept from (net/acceptor.h), from any thread. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "base/address.h"

/* Its fields are src/net's. */
struct listening {
    int fd;
    bool is_adopted;
    atomic_int references;  /* each acceptor has one; the last closes the socket */
    atomic_bool is_stopped; /* nobody is to be let in any more */
    atomic_bool is_starved; /* an acceptor was out of descriptors, and that is logged */
};

/* Binds and listens (SO_REUSEADDR, not SO_REUSEPORT; IPV6_V6ONLY off for [::]). 0 or a negative
 * errno. */
int listening_open(const union address *address, struct listening **ret_listening)
    __attribute__((warn_unused_result));
/* Takes a socket that listens already (socket activation); on failure (-ENOMEM) fd is still the
 * caller's. */
int listening_adopt(int fd, struct listening **ret_listening) __attribute__((warn_unused_result));
struct listening *listening_ref(struct listening *listening);
void listening_unref(struct listening *listening); /* NULL is fine */

void listening_address(const struct listening *listening,
                       union address *ret_address); /* with the real port */
/* Whoever is accepted and then vanishes is noticed: keepalive after 60 s, TCP_USER_TIMEOUT 2
 * minutes. Accepted sockets inherit it, which saves four system calls for each. */
void listening_set_keepalive(struct listening *listening);
/* For those whose clients speak first: whoever connects is accepted with its first bytes, in one
 * turn, or without any after a second. Until then it costs nothing but its place in the backlog. */
void listening_set_defer(struct listening *listening);
/* Whatever references there are, nobody is let in from now on; who waits in the backlog is reset,
 * and the address is free. An adopted socket is another's, too: there they wait for the next who
 * accepts. */
void listening_stop(struct listening *listening);
