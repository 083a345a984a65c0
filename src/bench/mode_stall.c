/* A target that stops reading while a device uploads to it: what it costs, and who else notices. */
#include <stdlib.h>

#include "bench/bulk.h"
#include "bench/client_tunnel.h"
#include "bench/modes.h"
#include "bench/pinger.h"

#define PING_INTERVAL 5000 /* us */
/* The old wire's stall limit is 10 s; after it the siblings have to go on. */
#define STALL_LIMIT_SECONDS 16.0

struct stall_run {
    struct rig *rig;
    struct report *report;
    struct report_row *before, *same, *other; /* rows of pings */
    struct report_row *cost;
    struct client_tunnel tunnel, neighbour;
    struct bulk bulk;
    struct pinger same_ping, other_ping;
    struct histogram same_histogram, other_histogram;
    uint64_t memory_before, memory_peak;
};

static void look_at_memory(struct stall_run *run)
{
    uint64_t memory = process_memory(run->rig->server_pid);
    if (memory > run->memory_peak) {
        run->memory_peak = memory;
    }
}

static void wait_and_look(struct stall_run *run, double seconds)
{
    uint64_t until = client_now() + (uint64_t)(seconds * 1e9);
    while (client_now() < until) {
        client_wait(&run->rig->client, 0.1);
        look_at_memory(run);
    }
}

static void restart_histograms(struct stall_run *run)
{
    histogram_init(&run->same_histogram);
    histogram_init(&run->other_histogram);
    run->same_ping.histogram = &run->same_histogram;
    run->other_ping.histogram = &run->other_histogram;
}

/* The substream beside a full one goes on, sooner or later; the other tunnel never stops. */
static void judge(struct stall_run *run, bool legacy)
{
    struct report *report = run->report;
    report_check(report,
                 !run->other_ping.over && run->other_ping.wrong == 0 &&
                     run->other_histogram.count > 0,
                 "another tunnel broke: %s",
                 run->other_ping.error ? run->other_ping.error : "no ping came back");
    report_check(report, !run->same_ping.over && run->same_ping.wrong == 0,
                 "the same tunnel broke: %s",
                 run->same_ping.error ? run->same_ping.error : "wrong bytes");
    if (!legacy) {
        report_check(report, run->same_histogram.count > 0,
                     "siblings of the stalled substream waited");
    }
}

static double abort_and_count_wait(struct stall_run *run, bool legacy)
{
    struct client *client = &run->rig->client;
    uint64_t began = client_now(), count = run->same_ping.count;
    /* The old wire can't say "this one not": the stall limit has to free the siblings. */
    while (legacy && run->same_ping.count == count &&
           (double)(client_now() - began) / 1e9 < STALL_LIMIT_SECONDS) {
        client_wait(client, 0.1);
        look_at_memory(run);
    }
    double waited = (double)(client_now() - began) / 1e9;
    lane_abort(&run->bulk.lane);
    return waited;
}

static int measure(struct stall_run *run)
{
    struct rig *rig = run->rig;
    struct client *client = &rig->client;
    bool smoke = rig->options->smoke, legacy = rig->options->legacy;
    double seconds = mode_seconds(rig, smoke ? 1 : 8);
    run->same_ping.interval = run->other_ping.interval = PING_INTERVAL;
    if (pinger_open(&run->same_ping, client, ROUTE_SERVER, &run->tunnel) < 0 ||
        pinger_open(&run->other_ping, client, ROUTE_SERVER, &run->neighbour) < 0) {
        return -1;
    }
    client_wait(client, 0.3);
    restart_histograms(run);
    client_wait(client, smoke ? 0.3 : 2);
    row_add_latency(run->before, ROUTE_SERVER, &run->same_histogram);
    run->memory_before = run->memory_peak = process_memory(rig->server_pid);

    if (bulk_open_at(&run->bulk, client, ROUTE_SERVER, &run->tunnel, TARGET_STALL) < 0) {
        return -1;
    }
    restart_histograms(run);
    wait_and_look(run, seconds);
    double longer = abort_and_count_wait(run, legacy && !smoke);
    pinger_count_waiting(&run->same_ping);
    pinger_count_waiting(&run->other_ping);
    row_add_latency(run->same, ROUTE_SERVER, &run->same_histogram);
    row_add_latency(run->other, ROUTE_SERVER, &run->other_histogram);
    judge(run, legacy);
    if (legacy && !smoke) {
        report_note(run->report, "old wire: siblings went on %.1f s after the target had stopped",
                    seconds + longer);
    }
    client_wait(client, smoke ? 0.2 : 2);
    return 0;
}

static void add_costs(struct stall_run *run)
{
    struct report_row *row = run->cost;
    row_add(row, ROUTE_SERVER, METRIC_TAKEN, (double)run->bulk.moved / 1e6);
    if (run->memory_before) {
        row_add(row, ROUTE_SERVER, METRIC_MEMORY, (double)run->memory_before / 1e6);
        row_add(row, ROUTE_SERVER, METRIC_MEMORY_PEAK, (double)run->memory_peak / 1e6);
        row_add(row, ROUTE_SERVER, METRIC_MEMORY_AFTER,
                (double)process_memory(run->rig->server_pid) / 1e6);
    }
}

int mode_stall(struct rig *rig, struct report *report)
{
    struct report_row *before = report_row(report, "pings every 5 ms, before");
    struct report_row *same = report_row(report, "pings on the tunnel of the stalled substream");
    struct report_row *other = report_row(report, "pings on another tunnel");
    struct report_row *cost = report_row(report, "the server, with a target that stopped reading");
    uint64_t rounds = rig->options->smoke ? 1 : rig->options->rounds;
    int failed = rig_has_route(rig, ROUTE_SERVER) ? 0 : -1;
    for (uint64_t round = 0; round < rounds && !failed; round++) {
        rig_progress("round %d of %d: a stalled target", (int)round + 1, (int)rounds);
        struct stall_run *run = calloc(1, sizeof(*run));
        if (!run) {
            return -1;
        }
        run->rig = rig;
        run->report = report;
        run->before = before;
        run->same = same;
        run->other = other;
        run->cost = cost;
        if (mode_open_tunnel(rig, ROUTE_SERVER, &run->tunnel) < 0 ||
            mode_open_tunnel(rig, ROUTE_SERVER, &run->neighbour) < 0) {
            failed = -1;
        } else {
            failed = measure(run);
        }
        if (!failed) {
            add_costs(run);
        }
        pinger_close(&run->same_ping);
        pinger_close(&run->other_ping);
        lane_abort(&run->bulk.lane);
        client_tunnel_close(&run->tunnel);
        client_tunnel_close(&run->neighbour);
        rig_settle(rig);
        free(run);
    }
    return failed;
}
