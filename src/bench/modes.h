/* The modes: each measures with a rig and writes rows into a report. 0, or -1 where it couldn't
 * measure; wrong results are the report's failures. */
#pragma once

#include "bench/report.h"
#include "bench/rig.h"

int mode_throughput(struct rig *rig, struct report *report);
int mode_open(struct rig *rig, struct report *report);
int mode_latency(struct rig *rig, struct report *report);
int mode_tunnels(struct rig *rig, struct report *report);
int mode_stall(struct rig *rig, struct report *report);
int mode_rtt(struct rig *rig, struct report *report);
int mode_fairness(struct rig *rig, struct report *report);
int mode_growth(struct rig *rig, struct report *report);
int mode_edge(struct rig *rig, struct report *report);

/* The seconds of one measurement: --seconds, or the mode's own. */
double mode_seconds(const struct rig *rig, double fallback);
/* Of the delay line: --rate, or what it is without. */
const char *mode_rate(const struct rig *rig);
/* The tunnel for a route: on the server opened, on the others nothing. 0 or -1. */
int mode_open_tunnel(struct rig *rig, enum route route, struct client_tunnel *tunnel)
    __attribute__((warn_unused_result));
