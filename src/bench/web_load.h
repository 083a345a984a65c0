/* Load of HTTP visitors: some at once, each asking again and again, or each for one request. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "bench/histogram.h"
#include "bench/rig.h"
#include "bench/web_visitor.h"

struct web_load_plan {
    struct rig *rig;
    enum route route; /* whose costs are taken */
    const struct web_way *way;
    int concurrency;
    bool keep_alive; /* asks again on its connection; else a new visitor for each request */
    uint64_t
        pause; /* microseconds before a new visitor, for what the last one's end leaves to do */
    uint64_t limit; /* so many answers in all; 0: for `seconds` after `warm_up` */
    double warm_up, seconds;
    /* Before each visit, for ways that differ in their requests; returns the way. NULL: `way`. */
    const struct web_way *(*choose)(void *user);
    void *user;
};

struct web_load_result {
    uint64_t answers; /* 200 with the right body, within the time */
    uint64_t failed;  /* at any time */
    char error[128];  /* the first one's reason */
    struct used used;
    struct histogram duration; /* from the request (of a new visitor: from connecting) to the
                                  answer's last byte */
    struct histogram first;    /* ...to its first byte */
};

/* 0 or -1 (memory). */
int web_load_measure(const struct web_load_plan *plan, struct web_load_result *ret_result)
    __attribute__((warn_unused_result));
/* One visit, waited for. True: 200 and the right body. */
bool web_load_try(const struct web_way *way, double seconds);
