/* What the token of a tunnel allows: made on the main thread when the token was accepted, kept by
 * the tunnel on its worker, shared by all tunnels of the token, or of the login. Its meters are the
 * only part that changes.
 *
 * The main thread's book of them (grants.h) fills the buckets and sums what was moved.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "control/jwt.h"
#include "server/egress.h"

struct device_token;

struct grant {
    atomic_int references;
    uint64_t token;      /* device_token.id; 0: a login, which allows all that its account may do */
    char token_uuid[37]; /* "" for a login */
    char login[JWT_JTI_MAX + 1];          /* its jti; "" for a token */
    char owner[129];                      /* the account's uuid */
    struct egress_rules *egress;          /* they only narrow the server's; NULL: none of its own */
    char *sockets;                        /* struct device_token's; NULL: all */
    uint32_t max_tunnels, max_substreams; /* 0: the server's */
    uint64_t bytes_per_second;            /* 0: unlimited; shared by all tunnels of the token */
    uint64_t bytes_per_month;             /* of the token; 0: unlimited */
    _Atomic uint64_t bytes; /* moved since it was last summed; added by workers, taken by the main
                               thread */
    atomic_bool
        is_exhausted;    /* over its month, or the account is: no new substreams, no visitors */
    atomic_uint tunnels; /* open now */
    _Atomic int64_t
        bucket; /* bytes that may still move now (refilled by the main thread's 100 ms tick, at most
                   one second's worth; workers subtract, and pause reading while it is negative) */
};

/* owner: the account's uuid. token: what it may do; NULL: a login, of this jti. All are copied. One
 * reference. NULL: no memory, or a rule of the token's that isn't one. */
struct grant *grant_new(const char *owner, const struct device_token *token, const char *login)
    __attribute__((warn_unused_result));
struct grant *grant_ref(struct grant *grant);
void grant_unref(struct grant *grant); /* NULL is fine */

/* Are these rules as --egress-allow has them, with commas between? */
bool grant_are_rules(const char *list);

/* All of these take a NULL grant, of a tunnel without one: it allows everything. */

/* May this token serve a socket of this name or host name? Either may be NULL. */
bool grant_may_serve(const struct grant *grant, const char *name, const char *hostname);
/* The token's own egress rules: a deny list, and an allow list outside of which nothing is. To be
 * asked when the server's own rules allow. */
bool grant_may_dial(const struct grant *grant, const union address *address,
                    struct egress_verdict *ret_verdict);
/* One more tunnel. False: the token has as many as it may have. */
bool grant_enter(struct grant *grant) __attribute__((warn_unused_result));
void grant_leave(struct grant *grant);
bool grant_is_exhausted(const struct grant *grant);
/* How many bytes may move now: SIZE_MAX without a limit, 0 while the bucket is empty. */
size_t grant_room(const struct grant *grant);
/* So many bytes were moved. */
void grant_count(struct grant *grant, size_t bytes);

/* The main thread's: the share of a second's bytes that has come in `elapsed` microseconds. */
void grant_refill(struct grant *grant, uint64_t elapsed);
