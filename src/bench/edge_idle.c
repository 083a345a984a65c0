/* Idle visitors on one tunnel: WebSockets over HTTPS, and what each costs server and agent. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/edge_parts.h"
#include "bench/web_visitor.h"

#define COUNT        10000
#define SMOKE_COUNT  200
#define AT_ONCE      16
#define WARM_UP      64 /* opened and closed before memory is looked at */
#define OPEN_SECONDS 300.0

struct idler {
    struct web_visitor visitor; /* first */
    struct idlers *all;
    bool decided, echoed;
};

struct idlers {
    struct client *client;
    struct web_way way;
    struct idler *idlers;
    int count, begun, done, failed, lost, echoed;
    char error[128];
};

static void begin_next(struct idlers *all);

static void decide(struct idler *idler, const char *error)
{
    struct idlers *all = idler->all;
    idler->decided = true;
    if (!error) {
        all->done++;
    } else if (!all->failed++) {
        snprintf(all->error, sizeof(all->error), "%s", error);
    }
    begin_next(all);
}

static void on_answer(struct web_visitor *visitor)
{
    struct idler *idler = (struct idler *)visitor;
    if (visitor->upgraded) {
        decide(idler, NULL);
        return;
    }
    char text[32];
    snprintf(text, sizeof(text), "answer %d", visitor->answer.status);
    web_visitor_close(visitor);
    decide(idler, text);
}

static void on_bytes(struct web_visitor *visitor, const uint8_t *bytes, size_t length)
{
    struct idler *idler = (struct idler *)visitor;
    if (length == 1 && *bytes == (uint8_t)(idler - idler->all->idlers) && !idler->echoed) {
        idler->echoed = true;
        if (++idler->all->echoed == idler->all->done) {
            client_wake(idler->all->client);
        }
    }
}

static void on_lost(struct web_visitor *visitor, const char *error)
{
    struct idler *idler = (struct idler *)visitor;
    if (idler->decided) {
        idler->all->lost++;
    } else {
        decide(idler, error);
    }
}

static const struct web_visitor_callbacks callbacks = {
    .on_answer = on_answer, .on_bytes = on_bytes, .on_lost = on_lost};

static void begin_next(struct idlers *all)
{
    while (all->begun < all->count && all->begun - all->done - all->failed < AT_ONCE) {
        struct idler *idler = &all->idlers[all->begun++];
        idler->all = all;
        if (web_visitor_open(&idler->visitor, &all->way, &callbacks) < 0) {
            idler->decided = true;
            if (!all->failed++) {
                snprintf(all->error, sizeof(all->error), "no connection");
            }
        }
    }
    if (all->done + all->failed == all->count) {
        client_wake(all->client);
    }
}

static int idlers_open(struct idlers *all, struct edge_rig *edge, int count)
{
    memset(all, 0, sizeof(*all));
    all->client = &edge->rig->client;
    all->count = count;
    edge_rig_way(edge, ROUTE_EDGE, true, true, &all->way);
    all->way.many_sources = true;
    web_way_ask_socket(&all->way, EDGE_HOST);
    all->idlers = calloc((size_t)count, sizeof(*all->idlers));
    if (!all->idlers) {
        return -1;
    }
    begin_next(all);
    if (all->done + all->failed < count) {
        client_wait(all->client, OPEN_SECONDS);
    }
    return 0;
}

/* A byte to the service and back on each: they are still there. */
static void ask_all(struct idlers *all)
{
    for (int i = 0; i < all->count; i++) {
        uint8_t byte = (uint8_t)i;
        if (all->idlers[i].visitor.upgraded &&
            web_visitor_send(&all->idlers[i].visitor, &byte, 1) < 0) {
            all->lost++;
        }
        if (i % 200 == 199) {
            client_wait(all->client, 0.005);
        }
    }
    if (all->echoed < all->done) {
        client_wait(all->client, 10);
    }
}

static void idlers_close(struct idlers *all)
{
    for (int i = 0; all->idlers && i < all->count; i++) {
        web_visitor_close(&all->idlers[i].visitor);
    }
    free(all->idlers);
    memset(all, 0, sizeof(*all));
}

static int warm_up(struct edge_rig *edge)
{
    struct idlers all;
    if (idlers_open(&all, edge, WARM_UP) < 0) {
        return -1;
    }
    idlers_close(&all);
    client_wait(&edge->rig->client, 0.5);
    return 0;
}

static void add_memory(struct report_row *row, enum metric metric, uint64_t now, uint64_t before,
                       int count)
{
    if (now && before && count) {
        row_add(row, ROUTE_EDGE, metric, ((double)now - (double)before) / 1e3 / count);
    }
}

static void judge(struct edge_rig *edge, const struct report_row *row, const struct idlers *all)
{
    struct report *report = edge->report;
    report_check(report, all->done == all->count,
                 "%s: %d of %d WebSockets were opened, the first failure: %s", row->title,
                 all->done, all->count, all->error);
    report_check(report, all->lost == 0, "%s: %d were lost while idle", row->title, all->lost);
    report_check(report, all->echoed == all->done, "%s: %d of %d had their byte back", row->title,
                 all->echoed, all->done);
}

int edge_idle(struct edge_rig *edge)
{
    struct rig *rig = edge->rig;
    int count = edge_count(edge, COUNT, SMOKE_COUNT);
    char error[512];
    struct report_row *row =
        report_row_again(edge->report, "https, %d idle WebSockets on one tunnel", count);
    if (!edge->has[ROUTE_EDGE]) {
        return 0;
    }
    edge_progress(row, ROUTE_EDGE);
    /* A process that has held visitors keeps memory: each round has its own. */
    if (edge_rig_restart(edge, error, sizeof(error)) < 0) {
        return edge_complain(error);
    }
    if (warm_up(edge) < 0) {
        return -1;
    }
    uint64_t server = process_memory(rig->server_pid), agent = process_memory(rig->agent.pid);
    struct idlers all;
    struct usage usage = rig_usage_begin(rig, ROUTE_EDGE);
    if (idlers_open(&all, edge, count) < 0) {
        return -1;
    }
    struct used used = rig_usage_end(rig, ROUTE_EDGE, &usage);
    client_wait(&rig->client, rig->options->smoke ? 0.2 : 2);
    row_add(row, ROUTE_EDGE, METRIC_VISITS, all.done / used.seconds);
    add_memory(row, METRIC_MEMORY_EACH, process_memory(rig->server_pid), server, all.done);
    add_memory(row, METRIC_AGENT_EACH, process_memory(rig->agent.pid), agent, all.done);
    row_add(row, ROUTE_EDGE, METRIC_MEMORY, (double)process_memory(rig->server_pid) / 1e6);
    row_add_used(row, ROUTE_EDGE, &used);
    ask_all(&all);
    judge(edge, row, &all);
    idlers_close(&all);
    client_wait(&rig->client, rig->options->smoke ? 0.2 : 1);
    return 0;
}
