/* How long to wait before trying again: 0.5 s, doubled up to 30 s.
 *
 * Each wait is drawn between half of that and the whole, so that a thousand agents whose server
 * went don't come back in one moment. (Drawing from 0 on would spread them more, but lets an
 * unlucky one be far along the doubling within seconds: this way all are back at most 4 s after a
 * server that was away for 3 s.)
 */
#pragma once

#include <stdint.h>

#define BACKOFF_FIRST 500000u           /* microseconds */
#define BACKOFF_MOST  30000000u         /* microseconds */
#define BACKOFF_RESET (30 * 1000000ull) /* up for so long: the next loss begins anew */

struct backoff {
    uint64_t state; /* of the random numbers; the seed */
    unsigned tries; /* since the start or the last reset */
};

void backoff_init(struct backoff *backoff, uint64_t seed);
/* Microseconds until the next try. */
uint64_t backoff_next(struct backoff *backoff);
void backoff_reset(struct backoff *backoff);
