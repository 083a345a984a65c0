/* Who may open a tunnel, or come in as a visitor: caps over the process and by address. One
 * admission counts tunnels, another visitors, for whom "authed" is to have been routed. An address
 * is an IPv4 address or an IPv6 /64. Caps by address are high, for a carrier's NAT is many homes.
 *
 * All from any thread, under a mutex: coming and going isn't the data path, and messages to one
 * thread that counts cost each visit that thread's wake-ups.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"

struct admission;

struct admission_limits {
    uint64_t tunnels, tunnels_per_address;
    uint64_t unauthed, unauthed_per_address;
    /* What admission_enter() calls these four, in their order; static. NULL: as tunnels' settings
     * are called. */
    const char *const *names;
};

enum admission_event { ADMISSION_AUTHED, ADMISSION_GONE_AUTHED, ADMISSION_GONE_UNAUTHED };

/* 0 or -ENOMEM. */
int admission_new(struct admission **ret_admission) __attribute__((warn_unused_result));
void admission_free(struct admission *admission); /* NULL is fine */
void admission_configure(struct admission *admission, const struct admission_limits *limits);

/* Counts a new tunnel; or says, without counting it, which cap is reached (static text). NULL: come
 * in. */
const char *admission_enter(struct admission *admission, const union address *peer);
/* The same for a peer whose address stands for many, a proxy in front: no cap by address holds. */
const char *admission_enter_trusted(struct admission *admission, const union address *peer);
/* What became of a tunnel that came in. */
void admission_report(struct admission *admission, const union address *peer,
                      enum admission_event event);
uint64_t admission_tunnels(struct admission *admission);
