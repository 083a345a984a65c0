/* One substream over a long, fat road: how near it comes to TCP alone on the same road, and how
 * soon. */
#include "bench/bulk.h"
#include "bench/client_tunnel.h"
#include "bench/modes.h"

/* What a transfer has to get up to speed before it is judged. */
#define ROUND_TRIPS  15
#define SHARE        0.8
#define SMOKE_BYTES  (4u << 20)
#define SMOKE_RTT_MS 20
#define RTT_MS       100

struct road {
    struct rig *rig;
    struct report *report;
    struct report_row *rows[2]; /* up, down */
    double rtt;                 /* seconds */
    double steady[ROUTE_COUNT];
};

/* The mean rate from `begin` to `end` seconds of a plot. */
static double mean_between(const struct timeline *timeline, double begin, double end)
{
    double sum = 0;
    int count = 0;
    for (size_t i = 0; i < timeline->count; i++) {
        if (timeline->seconds[i] >= begin && timeline->seconds[i] < end) {
            sum += timeline->values[i];
            count++;
        }
    }
    return count ? sum / count : 0;
}

/* Round trips from the open until a round trip's mean rate is `wanted`; -1: never. */
static double trips_until(const struct road *road, const struct timeline *timeline, double wanted)
{
    for (size_t i = 0; i < timeline->count; i++) {
        double at = timeline->seconds[i];
        if (mean_between(timeline, at, at + (road->rtt > 0.1 ? road->rtt : 0.1)) >= wanted) {
            return at / road->rtt;
        }
    }
    return -1;
}

static int measure(struct road *road, enum route route, bool up)
{
    struct rig *rig = road->rig;
    struct report_row *row = road->rows[up ? 0 : 1];
    struct client_tunnel tunnel = {0};
    if (mode_open_tunnel(rig, route, &tunnel) < 0) {
        return -1;
    }
    double seconds = mode_seconds(rig, 4), ready = ROUND_TRIPS * road->rtt;
    struct bulk_plan plan = {
        .rig = rig,
        .route = route,
        .tunnel = &tunnel,
        .up = up,
        .down = !up,
        .seconds = ready + seconds,
        .timeline = &row->rate[route],
    };
    int failed = 0;
    if (rig->options->smoke) {
        bulk_transfer(&plan, SMOKE_BYTES, road->report, row->title);
    } else {
        struct bulk_result result;
        failed = bulk_measure(&plan, &result);
        if (!failed) {
            road->steady[route] = mean_between(&row->rate[route], ready, ready + seconds);
            row_add(row, route, METRIC_RATE, road->steady[route]);
            row_add_used(row, route, &result.used);
        }
    }
    client_tunnel_close(&tunnel);
    return failed;
}

static void judge_start(struct road *road, bool up)
{
    struct report_row *row = road->rows[up ? 0 : 1];
    for (int route = 0; route < ROUTE_COUNT; route++) {
        if (!rig_has_route(road->rig, (enum route)route) || road->steady[ROUTE_PLAIN] == 0) {
            continue;
        }
        double trips = trips_until(road, &row->rate[route], SHARE * road->steady[ROUTE_PLAIN]);
        if (trips >= 0) {
            row_add(row, (enum route)route, METRIC_ROUND_TRIPS, trips);
        } else {
            report_note(road->report, "%s, %s: never came to %.1f of the direct rate", row->title,
                        route_names[route], SHARE);
        }
    }
}

int mode_rtt(struct rig *rig, struct report *report)
{
    const struct bench_options *options = rig->options;
    char error[256];
    uint64_t rtt = options->smoke ? SMOKE_RTT_MS : options->rtt_ms ? options->rtt_ms : RTT_MS;
    struct road road = {.rig = rig, .report = report, .rtt = (double)rtt / 1e3};
    if (rig_delay(rig, rtt, mode_rate(rig), error, sizeof(error)) < 0) {
        fprintf(stderr, "streamplex bench: %s\n", error);
        return -1;
    }
    for (int up = 1; up >= 0; up--) {
        if (options->direction != DIRECTION_ALL &&
            options->direction != (up ? DIRECTION_UP : DIRECTION_DOWN)) {
            continue;
        }
        road.rows[!up] =
            report_row(report, "%s over %.0f ms round trip and %s, after %d round trips",
                       up ? "upload" : "download", (double)rtt, mode_rate(rig), ROUND_TRIPS);
    }
    uint64_t rounds = options->smoke ? 1 : options->rounds;
    for (uint64_t round = 0; round < rounds; round++) {
        for (int up = 1; up >= 0; up--) {
            if (!road.rows[!up]) {
                continue;
            }
            for (int route = 0; route < ROUTE_COUNT; route++) {
                road.steady[route] = 0;
                rig_progress("round %d of %d: %s, %s", (int)round + 1, (int)rounds,
                             road.rows[!up]->title, route_names[route]);
                if (rig_has_route(rig, (enum route)route) &&
                    measure(&road, (enum route)route, up) < 0) {
                    return -1;
                }
            }
            judge_start(&road, up);
        }
    }
    return 0;
}
