/* Holding many: tunnels (or bare TLS connections of the hop) opened so many at once, and kept. */
#pragma once

#include <stdint.h>

#include "bench/client_tunnel.h"
#include "bench/report.h"
#include "bench/rig.h"

struct held;

struct holder {
    struct rig *rig;
    enum route route; /* ROUTE_SERVER or ROUTE_HOP */
    bool resume;
    struct held *held;
    int *free_tickets, free_count; /* of `concurrency` that are resumed in turn */
    int count, concurrency;
    int begun, done, failed, lost;
    int resumed;
    char error[128];
    struct histogram duration; /* from connect to the answer to the token (hop: to a byte echoed) */
};

/* Opens `count`, `concurrency` at once, and waits for them. 0, or -1 (memory); `failed` and `lost`
 * tell the rest. */
int holder_open(struct holder *holder, struct rig *rig, enum route route, int count,
                int concurrency, bool resume) __attribute__((warn_unused_result));
void holder_close(struct holder *holder); /* takes one that is zero */
