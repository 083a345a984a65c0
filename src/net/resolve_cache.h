/* Answers to names, and a bounded cache of them: by TTL, the one unused longest goes first. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/address.h"

/* Shared by the cache and the queries that wait for it; doesn't change once made. */
struct resolve_answer {
    unsigned references;
    int error;        /* RESOLVE_* */
    uint64_t expires; /* microseconds of the monotonic clock */
    size_t count;
    union address addresses[];
};

/* One reference, the caller's. NULL without memory. */
struct resolve_answer *resolve_answer_new(int error, const union address *addresses, size_t count,
                                          uint64_t expires);
struct resolve_answer *resolve_answer_ref(struct resolve_answer *answer);
void resolve_answer_unref(struct resolve_answer *answer); /* NULL is fine */

struct resolve_cache;

/* capacity: answers kept at most. NULL without memory. */
struct resolve_cache *resolve_cache_new(size_t capacity);
void resolve_cache_free(struct resolve_cache *cache); /* NULL is fine */

/* A name's answer, if it is kept and hasn't expired; still the cache's (take a reference). NULL:
 * none. */
struct resolve_answer *resolve_cache_find(struct resolve_cache *cache, const char *name,
                                          uint64_t now);
/* Keeps an answer (by a reference of its own) in place of the name's last one. Without memory it
 * isn't kept. */
void resolve_cache_store(struct resolve_cache *cache, const char *name,
                         struct resolve_answer *answer);
/* Forgets everything: other servers may say other things. */
void resolve_cache_clear(struct resolve_cache *cache);
size_t resolve_cache_count(const struct resolve_cache *cache);
