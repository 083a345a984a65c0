/* Who waits how long: many small ones beside one that takes all it gets, on one tunnel, and tunnel
 * beside tunnel. */
#include <stdlib.h>

#include "bench/bulk.h"
#include "bench/crowd.h"
#include "bench/modes.h"

#define DEFAULT_COUNT 100
#define SMOKE_COUNT   20
#define INTERVAL      20000 /* us from ping to ping of each */
#define GREEDY_EACH   32    /* bulk substreams up, and as many down, of the greedy tunnel */
#define WARM_UP       0.4

struct bench_row {
    int up, down; /* bulk lanes beside the crowd */
    struct report_row *row;
};

/* The crowd's round trips beside so many bulk lanes on `greedy`. */
static int measure_beside(struct rig *rig, struct report *report, struct crowd *crowd,
                          struct client_tunnel *greedy, const struct bench_row *what)
{
    struct client *client = &rig->client;
    int count = what->up + what->down;
    double seconds = mode_seconds(rig, rig->options->smoke ? 0.3 : 2);
    struct bulk *bulks = calloc((size_t)count + 1, sizeof(*bulks));
    int failed = bulks ? 0 : -1;
    for (int i = 0; i < count && !failed; i++) {
        failed = bulk_open(&bulks[i], client, ROUTE_SERVER, greedy, i < what->up, 0, false);
    }
    if (!failed) {
        client_wait(client, WARM_UP);
        uint64_t moved = 0;
        for (int i = 0; i < count; i++) {
            moved += bulks[i].moved;
        }
        crowd_restart(crowd);
        struct usage usage = rig_usage_begin(rig, ROUTE_SERVER);
        client_wait(client, seconds);
        struct used used = rig_usage_end(rig, ROUTE_SERVER, &usage);
        crowd_report(crowd, report, what->row);
        row_add_used(what->row, ROUTE_SERVER, &used);
        uint64_t sum = 0;
        int stuck = 0;
        for (int i = 0; i < count; i++) {
            sum += bulks[i].moved;
            stuck += bulks[i].over || bulks[i].moved == 0;
        }
        if (count) {
            row_add(what->row, ROUTE_SERVER, METRIC_BULK,
                    (double)(sum - moved) / used.seconds / 1e6);
            report_check(report, stuck == 0, "%s: %d of %d bulk lanes are stuck", what->row->title,
                         stuck, count);
        }
    }
    for (int i = 0; bulks && i < count; i++) {
        lane_abort(&bulks[i].lane);
    }
    free(bulks);
    client_wait(client, 0.2);
    return failed;
}

static int measure_all(struct rig *rig, struct report *report, struct crowd *crowd,
                       struct client_tunnel *greedy, const struct bench_row *rows, int count)
{
    for (int i = 0; i < count; i++) {
        rig_progress("%s", rows[i].row->title);
        if (measure_beside(rig, report, crowd, greedy, &rows[i]) < 0) {
            return -1;
        }
    }
    return 0;
}

/* One tunnel carries all. */
static int on_one_tunnel(struct rig *rig, struct report *report, int count,
                         const struct bench_row *rows)
{
    struct client_tunnel tunnel = {0};
    struct crowd crowd = {0};
    if (mode_open_tunnel(rig, ROUTE_SERVER, &tunnel) < 0) {
        return -1;
    }
    int failed = crowd_open(&crowd, rig, count, &tunnel, 1, INTERVAL);
    if (!failed) {
        failed = measure_all(rig, report, &crowd, &tunnel, rows, 3);
    }
    crowd_close(&crowd);
    client_tunnel_close(&tunnel);
    rig_settle(rig);
    return failed;
}

/* Each polite one has a tunnel of its own; so has the greedy one. */
static int on_many_tunnels(struct rig *rig, struct report *report, int count,
                           const struct bench_row *rows)
{
    struct client_tunnel greedy = {0}, *tunnels = calloc((size_t)count, sizeof(*tunnels));
    struct crowd crowd = {0};
    int failed = tunnels ? mode_open_tunnel(rig, ROUTE_SERVER, &greedy) : -1;
    for (int i = 0; i < count && !failed; i++) {
        failed = mode_open_tunnel(rig, ROUTE_SERVER, &tunnels[i]);
    }
    if (!failed) {
        failed = crowd_open(&crowd, rig, count, tunnels, count, INTERVAL);
    }
    if (!failed) {
        failed = measure_all(rig, report, &crowd, &greedy, rows, 2);
    }
    crowd_close(&crowd);
    for (int i = 0; tunnels && i < count; i++) {
        client_tunnel_close(&tunnels[i]);
    }
    client_tunnel_close(&greedy);
    free(tunnels);
    rig_settle(rig);
    return failed;
}

int mode_fairness(struct rig *rig, struct report *report)
{
    const struct bench_options *options = rig->options;
    int count = options->count ? (int)options->count : options->smoke ? SMOKE_COUNT : DEFAULT_COUNT;
    int each = options->smoke ? 4 : GREEDY_EACH;
    struct bench_row rows[] = {
        {.row = report_row(report, "%d interactive substreams, alone", count)},
        {.up = 1,
         .row = report_row(report, "%d interactive substreams beside a bulk upload", count)},
        {.down = 1,
         .row = report_row(report, "%d interactive substreams beside a bulk download", count)},
        {.row = report_row(report, "%d polite tunnels, alone", count)},
        {.up = each,
         .down = each,
         .row = report_row(report, "%d polite tunnels beside a greedy one", count)},
    };
    uint64_t rounds = options->smoke ? 1 : options->rounds;
    for (uint64_t round = 0; round < rounds; round++) {
        if (on_one_tunnel(rig, report, count, rows) < 0 ||
            on_many_tunnels(rig, report, count, rows + 3) < 0) {
            return -1;
        }
    }
    report_note(report,
                "each of the %d sends a byte every %d ms; the greedy tunnel has %d bulk "
                "substreams up and %d down",
                count, INTERVAL / 1000, each, each);
    return 0;
}
