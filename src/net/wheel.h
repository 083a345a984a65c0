/* The timer wheel, without a clock: nine levels of 64 slots, each slot of a level as wide as the
 * whole level below. Nine hold every tick that 64 bits of microseconds have, so no time is too far
 * away.
 *
 * A timer sits at the level of the highest digit (base 64) in which its tick differs from the
 * present one, in the slot of that digit. So every slot in use lies ahead of the present, the
 * lowest level in use has the next one due, and a timer moves down a level at most eight times in
 * its life.
 */
#pragma once

#include <stdint.h>

#include "net/timer.h"

#define WHEEL_LEVELS 9
#define WHEEL_SLOTS  64
#define WHEEL_TICK                                                                                 \
    2000 /* microseconds; half of TIMER_GRAIN, the milliseconds of the loop's wait cost the other  \
            half */

struct wheel {
    uint64_t tick;                 /* the present: all before it has run */
    uint64_t in_use[WHEEL_LEVELS]; /* a bit per slot; may stand for a slot that has become empty */
    struct timer slots[WHEEL_LEVELS][WHEEL_SLOTS]; /* heads of circular lists */
};

void wheel_init(struct wheel *wheel, uint64_t now);
/* timer->when is set; it is in no list. */
void wheel_insert(struct wheel *wheel, struct timer *timer);
void wheel_remove(struct timer *timer);
/* Microseconds at which wheel_advance() has something to do, UINT64_MAX when never. */
uint64_t wheel_next(struct wheel *wheel);
/* Runs what is due at `now`. A timer's run may start, move and stop any timer. */
void wheel_advance(struct wheel *wheel, uint64_t now);
