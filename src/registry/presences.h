/* A set of presences, and the choice of one among them. The registry has one for each socket and
 * for each tunnel, a directory one for each socket. */
#pragma once

#include <stddef.h>

#include "registry/registry.h"

struct presences { /* zeroed: empty */
    struct presence **items;
    size_t count, capacity;
    size_t turn; /* where the next choice begins */
};

void presences_deinit(struct presences *presences);
/* Takes a reference. 0 or -ENOMEM. */
int presences_add(struct presences *presences, struct presence *presence)
    __attribute__((warn_unused_result));
/* Drops its reference; the others keep their order. One that isn't in the set is fine. */
void presences_remove(struct presences *presences, struct presence *presence);
/* The one with the fewest busy substreams that isn't among `tried`; among equals the first after
 * the one chosen last. Borrowed. NULL: none. */
struct presence *presences_pick(struct presences *presences, struct presence *const *tried,
                                size_t tried_count);
