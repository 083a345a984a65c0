/* A token bucket in one word that threads share without a lock: it holds the moment at which the
 * bucket will be full again. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

/* A bucket holds what comes in a second, and this many at least: a page and what belongs to it. */
#define BUCKET_BURST_MIN 5

struct bucket {
    _Atomic uint64_t full_at; /* nanoseconds; zeroed: full */
};

/* Takes one token. rate: tokens a second, 1 or more; now: microseconds. 0, or (nothing was taken)
 * the microseconds after which there will be one. */
uint64_t bucket_take(struct bucket *bucket, uint32_t rate, uint64_t now)
    __attribute__((warn_unused_result));
