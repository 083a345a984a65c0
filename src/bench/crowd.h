/* A crowd: many who each send a byte now and then and wait for it. */
#pragma once

#include "bench/client_tunnel.h"
#include "bench/pinger.h"
#include "bench/report.h"
#include "bench/rig.h"

struct crowd {
    struct rig *rig;
    int count;
    struct pinger *pingers;
    struct histogram *own; /* one each */
    struct histogram all;
};

/* Pingers to the echo, each every `interval` us, spread over the tunnels (one for all, or one
 * each). 0 or -1. */
int crowd_open(struct crowd *crowd, struct rig *rig, int count, struct client_tunnel *tunnels,
               int tunnel_count, uint64_t interval) __attribute__((warn_unused_result));
/* Forgets what was measured until now. */
void crowd_restart(struct crowd *crowd);
/* Adds what was measured; checks that everybody was answered, and rightly. */
void crowd_report(struct crowd *crowd, struct report *report, struct report_row *row);
void crowd_close(struct crowd *crowd); /* takes one that is zero */
