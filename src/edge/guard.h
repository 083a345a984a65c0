/* What the edges of all workers share to guard sockets: the threads that check passwords, a few
 * for the whole process; how long who guessed wrong has to wait; the rates of visitors. */
#pragma once

#include <stdint.h>

#include "base/address.h"
#include "edge/rate_table.h"
#include "net/loop.h"
#include "net/work.h"

struct guard;

enum guard_verdict {
    GUARD_UNKNOWN, /* it was never looked at */
    GUARD_RIGHT,
    GUARD_WRONG,
    GUARD_LATER, /* not looked at: this address has to wait */
};

/* A password to be checked. Embedded in a heap object; what it points to lives as long. */
struct guard_check {
    struct work work; /* first; `done` is the caller's */
    struct guard *guard;
    const char *password, *hash;
    bool is_known; /* the name that came with it: if not, no password is right */
    union address visitor;
    uint64_t now; /* microseconds; of the monotonic clock, as all times here */
    /* Once done: */
    enum guard_verdict verdict;
    uint64_t wait; /* GUARD_LATER: microseconds */
};

/* 0 or a negative errno. */
int guard_new(struct guard **ret_guard) __attribute__((warn_unused_result));
/* Microseconds that the address has to wait before a password of its is checked; 0: none. */
uint64_t guard_ask(struct guard *guard, const union address *visitor, uint64_t now);
/* Any thread: checks a password beside the loops, then check->work.done() runs on `loop`; the
 * object is the guard's until then. 0, or -EAGAIN: as many wait as may. */
int guard_add(struct guard *guard, struct loop *loop, struct guard_check *check)
    __attribute__((warn_unused_result));
/* Shared by all threads. */
struct rate_table *guard_rates(struct guard *guard);
/* Once no loop runs any more, and before any of them is freed: nothing is checked any more; what
 * was waiting comes back by the loops. NULL is fine. */
void guard_stop(struct guard *guard);
void guard_free(struct guard *guard); /* stops it; NULL is fine */
