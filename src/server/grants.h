/* The main thread's book of grants: one for each device token and each login that has tunnels open.
 * Every 100 ms it fills their buckets, sums what their tunnels have moved, and sees who has used up
 * a month's bytes.
 *
 * Sums are kept by somebody else (control/accounts.h), by owner and by the token's uuid.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "net/loop.h"
#include "server/grant.h"

struct grants;

#define GRANTS_TICK 100000 /* microseconds */
/* What runs when the bytes are used up may come to its end in this time. */
#define GRANTS_GRACE 60000000

struct grants_host {
    /* Adds to the month's sum of this owner, or of this token. */
    void (*add_usage)(void *user, const char *owner, uint64_t bytes);
    uint64_t (*usage)(void *user, const char *owner); /* this month's */
    uint64_t (*quota)(void *user, const char *owner); /* the account's; 0: none */
    /* Its bytes have been used up for GRANTS_GRACE: tunnels with substreams are to end. Once, each
     * time they are. */
    void (*on_overdue)(void *user, const struct grant *grant);
    void *user;
};

/* host is copied. 0 or -ENOMEM. */
int grants_new(struct loop *loop, const struct grants_host *host, struct grants **ret_grants)
    __attribute__((warn_unused_result));
/* Sums a last time. NULL is fine. */
void grants_free(struct grants *grants);
/* The grant of a token, or (NULL) of the owner's login of this jti, with a reference for the
 * caller. NULL: no memory, or a rule that isn't one. */
struct grant *grants_take(struct grants *grants, const char *owner,
                          const struct device_token *token, const char *login)
    __attribute__((warn_unused_result));
/* This token's grant, or this login's ("": every login's), or (both NULL) all of the owner's, isn't
 * given out any more. */
void grants_revoke(struct grants *grants, const char *owner, const struct device_token *token,
                   const char *login);
/* What happens every GRANTS_TICK by itself: `elapsed` microseconds have passed. */
void grants_tick(struct grants *grants, uint64_t elapsed);
size_t grants_count(const struct grants *grants);
