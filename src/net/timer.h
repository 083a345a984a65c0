/* Timers for thousands of objects: a wheel that the loop's wait looks at, O(1) to start, move and
 * stop. A timer runs at its time or up to TIMER_GRAIN later, never before. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "net/loop.h"

#define TIMER_GRAIN 4000 /* microseconds: fine enough for a `_pls_timeout` of 10 ms */

/* Embed it; 48 bytes at most. */
struct timer {
    struct timer *next, *previous;
    uint64_t when;
    void (*run)(struct timer *timer);
    struct loop *loop;
};

void timer_init(struct timer *timer, struct loop *loop, void (*run)(struct timer *timer));
/* Starts it, or moves it, to a time of loop_now(). UINT64_MAX stops it. */
void timer_start(struct timer *timer, uint64_t when);
void timer_stop(struct timer *timer); /* idempotent */
bool timer_is_running(const struct timer *timer);
