/* Dialling: a host and a port to one established TCP connection, by RFC 8305 (Happy Eyeballs
 * version 2).
 *
 * Literals are dialled as they are. Names are resolved; the families are interleaved, IPv6 first;
 * attempts start 250 ms apart, or at once when the one before failed; the first to stand wins and
 * the others are dropped. When one family's addresses are late (resolve.h), the others are dialled
 * meanwhile, and the late ones join. Each address is judged by the caller right before it is
 * dialled, so that what was judged is what is dialled; v4-mapped IPv6 addresses are unmapped before
 * that.
 */
#pragma once

#include <stdint.h>

#include "base/address.h"
#include "net/conn.h"
#include "net/resolve.h"

struct dial;

struct dial_callbacks {
    /* A name has been resolved, for good or ill (not called for literals). May call dial_cancel().
     */
    void (*on_lookup)(void *user);
    /* May this address be dialled? Called for each candidate; for a literal from within
     * dial_start(). Must not call dial_cancel(). */
    bool (*on_judge)(void *user, const union address *address);
    /* Over. conn: established and the callee's, with no callbacks set yet; address: borrowed. */
    void (*on_connected)(void *user, struct conn *conn, const union address *address);
    /* Over. code: "ECONNREFUSED", "ENOTFOUND", "EACCES", "ETIMEDOUT", ...; message: the whole text
     * as the reference writes it, "connect ECONNREFUSED 127.0.0.1:1" or "getaddrinfo ENOTFOUND
     * host". With several addresses it is the first's that was dialled, but one that this machine
     * has no route to (ENETUNREACH, EADDRNOTAVAIL, as with IPv6 addresses where there is no IPv6)
     * only counts when all are such. When all were refused by on_judge, EACCES with the address (of
     * a literal) or host:port (of a name: which address it has here isn't the device's business).
     * When the time is over before any address is known, ETIMEDOUT with host:port. */
    void (*on_failed)(void *user, const char *code, const char *message);
};

/* timeout: microseconds for all of it; 0: none. on_connected or on_failed follow, never before this
 * returns, unless dial_cancel() came first. host is copied; callbacks must live as long as the
 * dial. 0 or -ENOMEM. */
int dial_start(struct loop *loop, struct resolver *resolver, const char *host, uint16_t port,
               uint64_t timeout, const struct dial_callbacks *callbacks, void *user,
               struct dial **ret_dial) __attribute__((warn_unused_result));
void dial_cancel(struct dial *dial); /* NULL is fine; not after on_connected or on_failed */
