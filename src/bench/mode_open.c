/* Opens a second: open, connect, one byte echoed, closed. */
#include "bench/client_tunnel.h"
#include "bench/modes.h"
#include "bench/opener.h"

#define SMOKE_OPENS 300

static int measure(struct rig *rig, struct report *report, struct report_row *row, int concurrency,
                   enum route route)
{
    bool smoke = rig->options->smoke;
    struct client_tunnel tunnel = {0};
    if (mode_open_tunnel(rig, route, &tunnel) < 0) {
        return -1;
    }
    volatile struct target_counters *counters = rig->counters;
    uint64_t accepted = counters->accepted;
    struct open_plan plan = {
        .rig = rig,
        .route = route,
        .tunnel = &tunnel,
        .concurrency = concurrency,
        .limit = smoke ? SMOKE_OPENS : 0,
        .warm_up = 0.3,
        .seconds = mode_seconds(rig, 2),
    };
    struct open_result result;
    int failed = open_measure(&plan, &result);
    client_tunnel_close(&tunnel);
    if (failed) {
        return -1;
    }
    report_check(report, result.failed == 0, "%s, %s: %llu opens failed, the first: %s", row->title,
                 route_names[route], (unsigned long long)result.failed, result.error);
    if (smoke) {
        report_check(report, result.opens == SMOKE_OPENS, "%s, %s: %llu opens of %d", row->title,
                     route_names[route], (unsigned long long)result.opens, SMOKE_OPENS);
        report_check(report, counters->accepted - accepted == SMOKE_OPENS,
                     "%s, %s: the target accepted %llu connections for %d opens", row->title,
                     route_names[route], (unsigned long long)(counters->accepted - accepted),
                     SMOKE_OPENS);
    }
    if (!result.opens) {
        return 0;
    }
    row_add(row, route, METRIC_OPENS, (double)result.opens / result.used.seconds);
    row_add_latency(row, route, &result.duration);
    if (rig_relay(rig, route)) {
        row_add(row, route, METRIC_CPU_OPEN, result.used.relay * 1e6 / (double)result.opens);
    }
    row_add_used(row, route, &result.used);
    return 0;
}

int mode_open(struct rig *rig, struct report *report)
{
    const struct bench_options *options = rig->options;
    int concurrencies[2] = {1, 64}, count = 2;
    struct report_row *rows[2];
    if (options->concurrency) {
        concurrencies[0] = (int)options->concurrency;
        count = 1;
    }
    for (int i = 0; i < count; i++) {
        rows[i] = concurrencies[i] == 1 ? report_row(report, "opens, one after another")
                                        : report_row(report, "opens, %d at once", concurrencies[i]);
    }
    uint64_t rounds = options->smoke ? 1 : options->rounds;
    for (uint64_t round = 0; round < rounds; round++) {
        for (int i = 0; i < count; i++) {
            for (int route = 0; route < ROUTE_COUNT; route++) {
                if (!rig_has_route(rig, (enum route)route)) {
                    continue;
                }
                rig_progress("round %d of %d: %s, %s", (int)round + 1, (int)rounds, rows[i]->title,
                             route_names[route]);
                if (measure(rig, report, rows[i], concurrencies[i], (enum route)route) < 0) {
                    return -1;
                }
            }
        }
    }
    if (rig_has_route(rig, ROUTE_HOP)) {
        report_note(report, "hop: an open is a TLS connection of its own, resumed where it can be");
    }
    return 0;
}
