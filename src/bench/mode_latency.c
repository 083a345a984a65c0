/* Round trips of one byte: alone, and beside a bulk substream on the same tunnel. */
#include <stdlib.h>

#include "bench/bulk.h"
#include "bench/client_tunnel.h"
#include "bench/modes.h"
#include "bench/pinger.h"

#define SMOKE_PINGS 200
#define WARM_UP     0.3

struct variant {
    enum beside beside;
    struct report_row *row;
};

static void check(struct rig *rig, struct report *report, const struct variant *variant,
                  enum route route, const struct pinger *pinger, const struct bulk *bulk)
{
    const char *title = variant->row->title, *name = route_names[route];
    report_check(report, !pinger->over && pinger->wrong == 0, "%s, %s: pings broken: %s", title,
                 name, pinger->error ? pinger->error : "wrong bytes");
    if (rig->options->smoke) {
        report_check(report, pinger->count == SMOKE_PINGS, "%s, %s: %llu pings of %d", title, name,
                     (unsigned long long)pinger->count, SMOKE_PINGS);
    }
    if (variant->beside != BESIDE_NONE) {
        report_check(report, !bulk->over && bulk->moved > 0, "%s, %s: the bulk lane broke: %s",
                     title, name, bulk->error ? bulk->error : "nothing moved");
        report_check(report, bulk->wrong == 0, "%s, %s: wrong bytes on the bulk lane", title, name);
    }
}

static int measure_on(struct rig *rig, struct report *report, const struct variant *variant,
                      enum route route, struct client_tunnel *tunnel, struct histogram *histogram)
{
    struct client *client = &rig->client;
    bool smoke = rig->options->smoke;
    struct pinger pinger = {.limit = smoke ? SMOKE_PINGS : 0};
    struct bulk bulk = {0};
    int failed = pinger_open(&pinger, client, route, tunnel);
    if (!failed && variant->beside != BESIDE_NONE) {
        failed = bulk_open(&bulk, client, route, tunnel, variant->beside == BESIDE_UP, 0, smoke);
    }
    if (!failed && !smoke) {
        client_wait(client, WARM_UP);
    }
    histogram_init(histogram);
    pinger.histogram = histogram;
    uint64_t moved = bulk.moved, count = pinger.count;
    struct usage usage = rig_usage_begin(rig, route);
    if (!failed) {
        client_wait(client, smoke ? 30 : mode_seconds(rig, 2));
    }
    struct used used = rig_usage_end(rig, route, &usage);
    if (!failed) {
        check(rig, report, variant, route, &pinger, &bulk);
        struct report_row *row = variant->row;
        row_add_latency(row, route, histogram);
        if (variant->beside != BESIDE_NONE) {
            row_add(row, route, METRIC_BULK, (double)(bulk.moved - moved) / used.seconds / 1e6);
        } else if (rig_relay(rig, route) && pinger.count > count) {
            row_add(row, route, METRIC_CPU_ROUND_TRIP,
                    used.relay * 1e6 / (double)(pinger.count - count));
        }
        row_add_used(row, route, &used);
    }
    pinger_close(&pinger);
    lane_abort(&bulk.lane);
    return failed;
}

static int measure(struct rig *rig, struct report *report, const struct variant *variant,
                   enum route route)
{
    struct client_tunnel tunnel = {0};
    struct histogram *histogram = malloc(sizeof(*histogram));
    int failed = histogram ? mode_open_tunnel(rig, route, &tunnel) : -1;
    if (!failed) {
        failed = measure_on(rig, report, variant, route, &tunnel, histogram);
        client_tunnel_close(&tunnel);
        rig_settle(rig);
    }
    free(histogram);
    return failed;
}

int mode_latency(struct rig *rig, struct report *report)
{
    static const char *const titles[] = {[BESIDE_NONE] = "round trips, idle",
                                         [BESIDE_UP] = "round trips beside a bulk upload",
                                         [BESIDE_DOWN] = "round trips beside a bulk download"};
    const struct bench_options *options = rig->options;
    struct variant variants[3];
    int count = 0;
    for (int beside = BESIDE_NONE; beside <= BESIDE_DOWN; beside++) {
        if (options->beside == BESIDE_ALL || options->beside == beside) {
            variants[count++] = (struct variant){.beside = (enum beside)beside,
                                                 .row = report_row(report, "%s", titles[beside])};
        }
    }
    uint64_t rounds = options->smoke ? 1 : options->rounds;
    for (uint64_t round = 0; round < rounds; round++) {
        for (int i = 0; i < count; i++) {
            for (int route = 0; route < ROUTE_COUNT; route++) {
                if (!rig_has_route(rig, (enum route)route)) {
                    continue;
                }
                rig_progress("round %d of %d: %s, %s", (int)round + 1, (int)rounds,
                             variants[i].row->title, route_names[route]);
                if (measure(rig, report, &variants[i], (enum route)route) < 0) {
                    return -1;
                }
            }
        }
    }
    if (options->beside != BESIDE_NONE) {
        report_note(report,
                    "hop and plain have no tunnels: there the bulk has a connection of its own");
    }
    return 0;
}
