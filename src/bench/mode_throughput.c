/* Bytes a second: 1, 8 and 64 substreams, up, down and both at once. */
#include "bench/bulk.h"
#include "bench/client_tunnel.h"
#include "bench/modes.h"

#define SMOKE_BYTES (16u << 20)

static const char *const direction_names[] = {"up", "down", "both ways"};

struct variant {
    int substreams;
    enum direction direction;
    struct report_row *row;
};

static int measure(struct rig *rig, struct report *report, const struct variant *variant,
                   enum route route)
{
    const struct bench_options *options = rig->options;
    struct report_row *row = variant->row;
    struct client_tunnel tunnel = {0};
    if (mode_open_tunnel(rig, route, &tunnel) < 0) {
        return -1;
    }
    struct bulk_plan plan = {
        .rig = rig,
        .route = route,
        .tunnel = &tunnel,
        .up = variant->direction == DIRECTION_DOWN ? 0 : variant->substreams,
        .down = variant->direction == DIRECTION_UP ? 0 : variant->substreams,
        .warm_up = 0.4,
        .seconds = mode_seconds(rig, 2),
        .timeline = &row->rate[route],
    };
    uint64_t bytes = options->bytes ? options->bytes : options->smoke ? SMOKE_BYTES : 0;
    struct bulk_result result = {0};
    int failed = 0;
    if (bytes) {
        struct usage usage = rig_usage_begin(rig, route);
        result.up = bulk_transfer(&plan, bytes, report, row->title);
        result.used = rig_usage_end(rig, route, &usage);
    } else {
        failed = bulk_measure(&plan, &result);
    }
    client_tunnel_close(&tunnel);
    double rate = result.up + result.down;
    if (failed || rate == 0) {
        return failed;
    }
    if (result.lost) {
        report_check(report, false, "%s, %s: %d lanes were lost", row->title, route_names[route],
                     result.lost);
    }
    row_add(row, route, METRIC_RATE, rate);
    if (!bytes && variant->direction == DIRECTION_BOTH) {
        row_add(row, route, METRIC_RATE_UP, result.up);
        row_add(row, route, METRIC_RATE_DOWN, result.down);
    }
    if (rig_relay(rig, route)) {
        double megabytes = bytes ? (double)bytes / 1e6 : rate * result.used.seconds;
        row_add(row, route, METRIC_CPU_MB, result.used.relay * 1e6 / megabytes);
    }
    row_add_used(row, route, &result.used);
    return 0;
}

/* 64 substreams beside one: how much the many cost. */
static void note_many(struct report *report, const struct variant *variants, int count)
{
    for (int i = 0; i < count; i++) {
        for (int one = 0; one < i; one++) {
            struct series ratio = {0};
            if (variants[one].substreams == 1 && variants[i].substreams > 1 &&
                variants[one].direction == variants[i].direction) {
                series_ratio(&variants[i].row->series[METRIC_RATE][ROUTE_SERVER],
                             &variants[one].row->series[METRIC_RATE][ROUTE_SERVER], &ratio);
            }
            if (ratio.count) {
                report_note(report, "server, %s beside one substream: %.2f (%.2f-%.2f)",
                            variants[i].row->title, series_median(&ratio), series_least(&ratio),
                            series_most(&ratio));
            }
            series_deinit(&ratio);
        }
    }
}

int mode_throughput(struct rig *rig, struct report *report)
{
    const struct bench_options *options = rig->options;
    static const int all[] = {1, 8, 64};
    struct variant variants[9];
    int count = 0;
    for (int i = 0; i < 3; i++) {
        if (options->substreams && i > 0) {
            break;
        }
        int substreams = options->substreams ? (int)options->substreams : all[i];
        for (int direction = 0; direction < 3; direction++) {
            if (options->direction != DIRECTION_ALL && options->direction != direction) {
                continue;
            }
            variants[count++] = (struct variant){
                .substreams = substreams,
                .direction = (enum direction)direction,
                .row = report_row(report, "throughput, %d substream%s, %s", substreams,
                                  substreams == 1 ? "" : "s", direction_names[direction]),
            };
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
    note_many(report, variants, count);
    return 0;
}
