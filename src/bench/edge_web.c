/* Visitors over HTTP and HTTPS: requests a second, new visitors a second, and the time to an
 * answer's first byte. */
#include <stdio.h>
#include <stdlib.h>

#include "bench/edge_parts.h"
#include "bench/modes.h"
#include "bench/web_load.h"

#define CONNECTIONS    64
#define VISITORS       16 /* at once, with handshakes */
#define SMOKE_REQUESTS 300
#define WARM_UP        0.4
#define PAUSE          5000 /* microseconds between idle visitors: many times what an end takes */

struct web_part {
    struct report_row *row;
    bool https, keep_alive;
    int concurrency;
    uint64_t pause;
};

/* Measures and checks; NULL: memory. The caller frees. */
static struct web_load_result *measure(struct edge_rig *edge, const struct web_part *part,
                                       enum route route)
{
    struct rig *rig = edge->rig;
    bool smoke = rig->options->smoke;
    const char *title = part->row->title, *name = route_names[route];
    struct web_way way;
    edge_rig_way(edge, route, part->https, part->keep_alive, &way);
    struct web_load_plan plan = {
        .rig = rig,
        .route = route,
        .way = &way,
        .concurrency = part->concurrency,
        .keep_alive = part->keep_alive,
        .pause = part->pause,
        .limit = smoke ? SMOKE_REQUESTS : 0,
        .warm_up = WARM_UP,
        .seconds = mode_seconds(rig, 2),
    };
    struct web_load_result *result = malloc(sizeof(*result));
    edge_progress(part->row, route);
    if (!result || web_load_measure(&plan, result) < 0) {
        free(result);
        return NULL;
    }
    report_check(edge->report, result->failed == 0, "%s, %s: %llu requests failed, the first: %s",
                 title, name, (unsigned long long)result->failed, result->error);
    if (smoke) {
        report_check(edge->report, result->answers == SMOKE_REQUESTS, "%s, %s: %llu answers of %d",
                     title, name, (unsigned long long)result->answers, SMOKE_REQUESTS);
    }
    return result;
}

static void add_rate(struct edge_rig *edge, struct report_row *row, enum route route,
                     const struct web_load_result *result, enum metric rate, enum metric cpu)
{
    if (!result->answers) {
        return;
    }
    row_add(row, route, rate, (double)result->answers / result->used.seconds);
    row_add_latency(row, route, &result->duration);
    if (rig_relay(edge->rig, route)) {
        row_add(row, route, cpu, result->used.relay * 1e6 / (double)result->answers);
    }
    row_add_used(row, route, &result->used);
}

int edge_http(struct edge_rig *edge)
{
    struct web_part part = {
        .row = report_row_again(edge->report, "http, requests of 1 KB, %d connections kept alive",
                                CONNECTIONS),
        .keep_alive = true,
        .concurrency = CONNECTIONS,
    };
    for (int route = ROUTE_EDGE; route <= ROUTE_PLAIN; route++) {
        /* ssh alone is a stranger's TCP port: nginx in front of it is the whole. */
        if (!edge->has[route] || route == ROUTE_SSH) {
            continue;
        }
        struct web_load_result *result = measure(edge, &part, (enum route)route);
        if (!result) {
            return -1;
        }
        add_rate(edge, part.row, (enum route)route, result, METRIC_REQUESTS, METRIC_CPU_REQUEST);
        free(result);
    }
    return 0;
}

int edge_https(struct edge_rig *edge)
{
    struct web_part part = {
        .row = report_row_again(edge->report, "https, new visitors, full handshakes, %d at once",
                                VISITORS),
        .https = true,
        .concurrency = VISITORS,
    };
    for (int route = ROUTE_EDGE; route <= ROUTE_NGINX; route++) {
        if (!edge->has[route] || route == ROUTE_SSH) {
            continue;
        }
        struct web_load_result *result = measure(edge, &part, (enum route)route);
        if (!result) {
            return -1;
        }
        add_rate(edge, part.row, (enum route)route, result, METRIC_VISITS, METRIC_CPU_VISIT);
        free(result);
    }
    return 0;
}

int edge_first_byte(struct edge_rig *edge)
{
    struct web_part part = {
        .row = report_row_again(edge->report,
                                "http, from connecting to the first byte, one every 5 ms"),
        .concurrency = 1,
        .pause = PAUSE,
    };
    double p50[ROUTE_COUNT] = {0};
    for (int route = ROUTE_EDGE; route <= ROUTE_PLAIN; route++) {
        if (!edge->has[route] || route == ROUTE_SSH) {
            continue;
        }
        struct web_load_result *result = measure(edge, &part, (enum route)route);
        if (!result) {
            return -1;
        }
        row_add_latency(part.row, (enum route)route, &result->first);
        row_add_used(part.row, (enum route)route, &result->used);
        p50[route] = (double)histogram_percentile(&result->first, 50) / 1e3;
        free(result);
    }
    for (int route = ROUTE_EDGE; route < ROUTE_PLAIN && p50[ROUTE_PLAIN] > 0; route++) {
        if (p50[route] > 0) {
            row_add(part.row, (enum route)route, METRIC_ADDED, p50[route] - p50[ROUTE_PLAIN]);
        }
    }
    return 0;
}
