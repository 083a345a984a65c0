/* Visitors over TCP: a bulk, visits of one byte, and round trips beside a bulk. */
#include <stdlib.h>

#include "bench/bulk.h"
#include "bench/edge_parts.h"
#include "bench/modes.h"
#include "bench/opener.h"
#include "bench/pinger.h"

#define SMOKE_BYTES  (8u << 20)
#define SMOKE_VISITS 200
#define SMOKE_PINGS  100
#define WARM_UP      0.4

static const enum route tcp_routes[] = {ROUTE_EDGE, ROUTE_SSH, ROUTE_PLAIN};
#define TCP_ROUTES (sizeof(tcp_routes) / sizeof(tcp_routes[0]))

/* --- Bulk --- */

static int measure_bulk(struct edge_rig *edge, struct report_row *row, enum route route, bool up)
{
    struct rig *rig = edge->rig;
    struct bulk_plan plan = {
        .rig = rig,
        .route = route,
        .up = up,
        .down = !up,
        .warm_up = WARM_UP,
        .seconds = mode_seconds(rig, 2),
        .timeline = &row->rate[route],
    };
    if (rig->options->smoke) {
        double rate = bulk_transfer(&plan, SMOKE_BYTES, edge->report, row->title);
        if (rate > 0) {
            row_add(row, route, METRIC_RATE, rate);
        }
        return 0;
    }
    struct bulk_result result;
    if (bulk_measure(&plan, &result) < 0) {
        return -1;
    }
    report_check(edge->report, result.lost == 0, "%s, %s: the bulk visitor was lost", row->title,
                 route_names[route]);
    double rate = up ? result.up : result.down;
    if (rate > 0) {
        row_add(row, route, METRIC_RATE, rate);
        if (rig_relay(rig, route)) {
            row_add(row, route, METRIC_CPU_MB,
                    result.used.relay * 1e6 / (rate * result.used.seconds));
        }
        row_add_used(row, route, &result.used);
    }
    return 0;
}

int edge_bulk(struct edge_rig *edge)
{
    for (int up = 1; up >= 0; up--) {
        struct report_row *row = report_row_again(edge->report, "tcp, one visitor's %s",
                                                  up ? "upload to the service" : "download");
        for (size_t i = 0; i < TCP_ROUTES; i++) {
            edge_progress(row, tcp_routes[i]);
            if (edge->has[tcp_routes[i]] && measure_bulk(edge, row, tcp_routes[i], up) < 0) {
                return -1;
            }
        }
    }
    return 0;
}

/* --- Visits --- */

static void report_visits(struct edge_rig *edge, struct report_row *row, enum route route,
                          const struct open_result *result)
{
    const char *name = route_names[route];
    report_check(edge->report, result->failed == 0, "%s, %s: %llu visits failed, the first: %s",
                 row->title, name, (unsigned long long)result->failed, result->error);
    if (edge->rig->options->smoke) {
        report_check(edge->report, result->opens == SMOKE_VISITS, "%s, %s: %llu visits of %d",
                     row->title, name, (unsigned long long)result->opens, SMOKE_VISITS);
    }
    if (!result->opens) {
        return;
    }
    row_add(row, route, METRIC_VISITS, (double)result->opens / result->used.seconds);
    row_add_latency(row, route, &result->duration);
    if (rig_relay(edge->rig, route)) {
        row_add(row, route, METRIC_CPU_VISIT, result->used.relay * 1e6 / (double)result->opens);
    }
    row_add_used(row, route, &result->used);
}

static int measure_visits(struct edge_rig *edge, struct report_row *row, enum route route,
                          int concurrency)
{
    struct rig *rig = edge->rig;
    bool smoke = rig->options->smoke;
    volatile struct target_counters *counters = rig->counters;
    uint64_t accepted = counters->accepted;
    struct open_plan plan = {
        .rig = rig,
        .route = route,
        .concurrency = concurrency,
        .limit = smoke ? SMOKE_VISITS : 0,
        .warm_up = WARM_UP,
        .seconds = mode_seconds(rig, 2),
    };
    struct open_result *result = malloc(sizeof(*result));
    if (!result || open_measure(&plan, result) < 0) {
        free(result);
        return -1;
    }
    report_visits(edge, row, route, result);
    if (smoke) {
        report_check(edge->report, counters->accepted - accepted == SMOKE_VISITS,
                     "%s, %s: the service accepted %llu connections for %d visits", row->title,
                     route_names[route], (unsigned long long)(counters->accepted - accepted),
                     SMOKE_VISITS);
    }
    free(result);
    return 0;
}

int edge_visits(struct edge_rig *edge)
{
    static const int concurrencies[] = {1, 64};
    for (int i = 0; i < 2; i++) {
        int concurrency = concurrencies[i];
        struct report_row *row =
            concurrency == 1
                ? report_row_again(edge->report, "tcp, visits one after another")
                : report_row_again(edge->report, "tcp, visits, %d at once", concurrency);
        for (size_t j = 0; j < TCP_ROUTES; j++) {
            edge_progress(row, tcp_routes[j]);
            if (edge->has[tcp_routes[j]] &&
                measure_visits(edge, row, tcp_routes[j], concurrency) < 0) {
                return -1;
            }
        }
    }
    return 0;
}

/* --- Round trips beside a bulk --- */

enum load { LOAD_NONE, LOAD_UP, LOAD_DOWN };

static void report_pings(struct edge_rig *edge, struct report_row *row, enum route route,
                         const struct pinger *pinger, const struct bulk *bulk, enum load load)
{
    const char *name = route_names[route];
    report_check(edge->report, !pinger->over && pinger->wrong == 0, "%s, %s: round trips broke: %s",
                 row->title, name, pinger->error ? pinger->error : "wrong bytes");
    if (edge->rig->options->smoke) {
        report_check(edge->report, pinger->count == SMOKE_PINGS, "%s, %s: %llu round trips of %d",
                     row->title, name, (unsigned long long)pinger->count, SMOKE_PINGS);
    }
    report_check(edge->report,
                 load == LOAD_NONE || (!bulk->over && bulk->moved > 0 && bulk->wrong == 0),
                 "%s, %s: the bulk visitor broke: %s", row->title, name,
                 bulk->error ? bulk->error : "nothing moved, or wrong bytes");
}

static int measure_beside(struct edge_rig *edge, struct report_row *row, enum route route,
                          enum load load, struct histogram *histogram)
{
    struct rig *rig = edge->rig;
    struct client *client = &rig->client;
    bool smoke = rig->options->smoke;
    struct pinger pinger = {.limit = smoke ? SMOKE_PINGS : 0};
    struct bulk bulk = {0};
    int failed = pinger_open(&pinger, client, route, NULL);
    if (!failed && load != LOAD_NONE) {
        failed = bulk_open(&bulk, client, route, NULL, load == LOAD_UP, 0, smoke);
    }
    if (!failed && !smoke) {
        client_wait(client, WARM_UP);
    }
    histogram_init(histogram);
    pinger.histogram = histogram;
    volatile struct target_counters *counters = rig->counters;
    uint64_t received = counters->received, moved = bulk.moved;
    struct usage usage = rig_usage_begin(rig, route);
    if (!failed) {
        client_wait(client, smoke ? 30 : mode_seconds(rig, 2));
        struct used used = rig_usage_end(rig, route, &usage);
        pinger_count_waiting(&pinger);
        report_pings(edge, row, route, &pinger, &bulk, load);
        row_add_latency(row, route, histogram);
        /* Up, what the service has got: a little of it is the pings'. */
        uint64_t bytes = load == LOAD_UP ? counters->received - received : bulk.moved - moved;
        if (load != LOAD_NONE) {
            row_add(row, route, METRIC_BULK, (double)bytes / used.seconds / 1e6);
        }
        row_add_used(row, route, &used);
    }
    pinger_close(&pinger);
    lane_abort(&bulk.lane);
    rig_settle(rig);
    return failed;
}

int edge_beside(struct edge_rig *edge)
{
    static const char *const titles[] = {
        [LOAD_NONE] = "idle",
        [LOAD_UP] = "beside a bulk visitor's upload on the same tunnel",
        [LOAD_DOWN] = "beside a bulk visitor's download on the same tunnel"};
    struct histogram *histogram = malloc(sizeof(*histogram));
    int failed = histogram ? 0 : -1;
    for (int load = LOAD_NONE; load <= LOAD_DOWN && !failed; load++) {
        struct report_row *row =
            report_row_again(edge->report, "tcp, round trips, %s", titles[load]);
        for (size_t i = 0; i < TCP_ROUTES && !failed; i++) {
            edge_progress(row, tcp_routes[i]);
            if (edge->has[tcp_routes[i]]) {
                failed = measure_beside(edge, row, tcp_routes[i], (enum load)load, histogram);
            }
        }
    }
    free(histogram);
    return failed;
}
