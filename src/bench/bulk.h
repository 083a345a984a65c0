/* Bulk lanes: as many bytes as go, up or down, counted and, where asked, checked. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "bench/lane.h"
#include "bench/report.h"
#include "bench/rig.h"

struct bulk {
    struct lane lane;
    bool up, checked;
    uint64_t limit; /* bytes; 0: until it is aborted */
    uint64_t seed;
    uint64_t header; /* bytes of the request that were sent */
    uint64_t moved;  /* bytes of payload sent (up) or received (down) */
    uint64_t wrong;
    struct sink_answer answer;
    size_t answered; /* bytes of it */
    bool over;
    const char *error;
    void (*on_over)(struct bulk *bulk); /* may be NULL */
    void *user;
};

/* 0 or -1. */
int bulk_open(struct bulk *bulk, struct client *client, enum route route,
              struct client_tunnel *tunnel, bool up, uint64_t limit, bool checked)
    __attribute__((warn_unused_result));
/* An endless, unchecked upload to a target of that kind. 0 or -1. */
int bulk_open_at(struct bulk *bulk, struct client *client, enum route route,
                 struct client_tunnel *tunnel, enum target_kind target)
    __attribute__((warn_unused_result));
/* Of one that is over: whether all arrived, once and right. */
bool bulk_is_right(const struct bulk *bulk);

/* One measurement of `count` bulk lanes each way asked for, on one tunnel. */
struct bulk_plan {
    struct rig *rig;
    enum route route;
    struct client_tunnel *tunnel;
    int up, down;   /* lanes */
    double warm_up; /* seconds before the measurement */
    double seconds;
    struct timeline *timeline; /* gets the sum's rate; may be NULL */
};
struct bulk_result {
    double up, down; /* MB/s; a MB is 10^6 bytes */
    struct used used;
    int lost; /* lanes that ended, or never began */
};
/* Runs it; aborts the lanes at the end. 0 or -1 (memory, no lane opened). */
int bulk_measure(const struct bulk_plan *plan, struct bulk_result *ret_result)
    __attribute__((warn_unused_result));
/* Moves `bytes` in all, spread over the lanes, to their end, and checks every byte. Returns MB/s, 0
 * on failure. */
double bulk_transfer(const struct bulk_plan *plan, uint64_t bytes, struct report *report,
                     const char *title);
