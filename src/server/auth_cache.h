/* What checks have answered lately, by digests of tokens.
 *
 * Accepted and refused ones are kept apart, so that a flood of wrong tokens can't push right ones
 * out. Each part holds AUTH_CACHE_MAX at most; the oldest go first.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "server/auth.h"

#define AUTH_CACHE_MAX 65536 /* a whole fleet with a token each; some 16 MiB when full */
#define AUTH_CACHE_REFUSED                                                                         \
    5000000 /* microseconds that a refusal is kept: a new token works soon after it was made */
#define AUTH_DIGEST_SIZE 32

struct auth_cache_part {
    struct auth_cache_entry
        *entries; /* oldest first: each part has one lifetime, so they expire in this order */
    uint64_t lifetime;
};

struct auth_cache {
    struct auth_cache_part accepted, refused;
};

/* lifetime: microseconds that an acceptance is kept; 0: it isn't. */
void auth_cache_init(struct auth_cache *cache, uint64_t lifetime);
void auth_cache_deinit(struct auth_cache *cache);

/* AUTH_ACCEPTED with the owner, AUTH_REFUSED, or -1 when nothing is known. */
int auth_cache_find(struct auth_cache *cache, const unsigned char digest[AUTH_DIGEST_SIZE],
                    uint64_t now, char ret_owner[AUTH_OWNER_MAX + 1])
    __attribute__((warn_unused_result));
/* owner NULL: refused. Without memory nothing is kept. */
void auth_cache_add(struct auth_cache *cache, const unsigned char digest[AUTH_DIGEST_SIZE],
                    const char *owner, uint64_t now);
