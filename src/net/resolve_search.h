/* The search for one name's addresses: A and AAAA, as it is and under the search domains of
 * resolv.conf(5).
 *
 * As in the C library, but for both families together: a name is searched on only when it has no
 * address at all, or a wildcard in a search domain could answer for one family of a name that has
 * only the other. For resolve.c alone. */
#pragma once

#include <stdbool.h>

#include "net/resolve_cache.h"
#include "net/resolve_channel.h"
#include "net/timer.h"

/* A name of 253 characters is the longest that DNS can carry (RFC 1035, section 2.3.4); and a dot
 * at its end. */
#define RESOLVE_NAME_MAX 254

struct resolve_search;

/* answer: RESOLVE_PARTIAL first, perhaps; then the last, after which the search is over and may be
 * freed. NULL: no memory, and the last. Borrowed. */
typedef void resolve_search_on_answer(struct resolve_search *search, struct resolve_answer *answer);

/* One family's part. */
struct resolve_part {
    struct resolve_search *search;
    bool waiting;
    int error;
    uint32_t ttl;
    size_t count;
    union address addresses[RESOLVE_ADDRESSES_MAX];
};

/* Embedded. It can't be dropped while its channel lives: free the channel first. */
struct resolve_search {
    struct loop *loop;
    struct resolve_channel *channel;
    const char *name;
    resolve_search_on_answer *on_answer;
    struct timer delay;
    unsigned candidate; /* of the names that searching makes out of this one */
    bool asking;        /* answers may come while the questions are still being sent */
    struct resolve_part v6, v4;
};

/* name: lower-case, 1 to RESOLVE_NAME_MAX characters; borrowed until the end. */
void resolve_search_init(struct resolve_search *search, struct loop *loop,
                         struct resolve_channel *channel, const char *name,
                         resolve_search_on_answer *on_answer);
/* Asks. on_answer may come before this returns. */
void resolve_search_start(struct resolve_search *search);
/* After the channel has been freed. */
void resolve_search_deinit(struct resolve_search *search);
