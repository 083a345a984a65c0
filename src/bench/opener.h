/* Opens: open, connect, one byte echoed, close; as many in a row as go, some at once. */
#pragma once

#include <stdint.h>

#include "bench/lane.h"
#include "bench/report.h"
#include "bench/rig.h"

struct open_plan {
    struct rig *rig;
    enum route route;
    struct client_tunnel *tunnel;
    int concurrency;
    uint64_t limit; /* so many opens in all; 0: for `seconds` after `warm_up` */
    double warm_up, seconds;
};

struct open_result {
    uint64_t opens;  /* that ended in order within the time, with their byte echoed */
    uint64_t failed; /* that ended otherwise, at any time */
    char error[128]; /* the first one's reason */
    struct used used;
    struct histogram duration; /* from open to closed */
};

/* 0 or -1 (memory). */
int open_measure(const struct open_plan *plan, struct open_result *ret_result)
    __attribute__((warn_unused_result));
