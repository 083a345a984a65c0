/* What the token of a tunnel allows: made on the main thread when the token was accepted, kept by
 * the tunnel on its worker, shared by all tunnels of the token. Its meters are the only part that
 * changes.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/egress.h"

struct grant {
    atomic_int references;
    uint64_t token; /* device_token.id; 0: not of an account's token (shared token, OAuth, login) */
    char token_uuid[37];
    char owner[129];
    struct egress_rules *egress;          /* they only narrow the server's; NULL: none of its own */
    char *sockets;                        /* struct device_token's; NULL: all */
    uint32_t max_tunnels, max_substreams; /* 0: the server's */
    uint64_t bytes_per_second;            /* 0: unlimited; shared by all tunnels of the token */
    _Atomic uint64_t
        bytes; /* moved since it was last summed; added by workers, taken by the main thread */
    atomic_bool
        is_exhausted;    /* over its month, or the account is: no new substreams, no visitors */
    atomic_uint tunnels; /* open now */
    _Atomic int64_t
        bucket; /* bytes that may still move now (refilled by the main thread's 100 ms tick, at most
                   one second's worth; workers subtract, and pause reading while it is negative) */
};

struct grant *grant_ref(struct grant *grant);
void grant_unref(struct grant *grant); /* NULL is fine */
/* May this token serve a socket of this name or host name? */
bool grant_may_serve(const struct grant *grant, const char *name, const char *hostname);
