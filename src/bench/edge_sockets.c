/* Many sockets, one agent each: does a visit find its agent as fast as among few? */
#include <stdio.h>
#include <stdlib.h>

#include "bench/agents.h"
#include "bench/edge_parts.h"
#include "bench/modes.h"
#include "bench/web_load.h"

#define LEVELS       3
#define AT_ONCE      16
#define SMOKE_VISITS 100
#define WARM_UP      0.4

struct choice {
    struct web_way way;
    char body[AGENT_BODY_SIZE + 1];
    const struct agents *agents;
    uint64_t random;
};

/* A visit to one of them, whose answer has to be that one's. One visit at a time: the way is
 * changed for each. */
static const struct web_way *choose(void *user)
{
    struct choice *choice = user;
    char host[AGENT_HOST_SIZE];
    choice->random = choice->random * 6364136223846793005u + 1442695040888963407u;
    int number = (int)((choice->random >> 33) % (uint64_t)choice->agents->count);
    agents_name(number, host);
    agents_body(number, choice->body);
    web_way_ask(&choice->way, host, true);
    return &choice->way;
}

static int measure_visits(struct edge_rig *edge, struct report_row *row,
                          const struct agents *agents)
{
    struct rig *rig = edge->rig;
    bool smoke = rig->options->smoke;
    struct choice choice = {.agents = agents, .random = 1};
    edge_rig_way(edge, ROUTE_EDGE, false, false, &choice.way);
    choice.way.body = (const uint8_t *)choice.body;
    choice.way.body_size = AGENT_BODY_SIZE;
    struct web_load_plan plan = {
        .rig = rig,
        .route = ROUTE_EDGE,
        .concurrency = 1,
        .limit = smoke ? SMOKE_VISITS : 0,
        .warm_up = WARM_UP,
        .seconds = mode_seconds(rig, 2),
        .choose = choose,
        .user = &choice,
    };
    struct web_load_result *result = malloc(sizeof(*result));
    if (!result || web_load_measure(&plan, result) < 0) {
        free(result);
        return -1;
    }
    report_check(edge->report, result->failed == 0, "%s: %llu visits failed, the first: %s",
                 row->title, (unsigned long long)result->failed, result->error);
    report_check(edge->report, result->answers > 0, "%s: no visit found its agent", row->title);
    if (result->answers) {
        row_add(row, ROUTE_EDGE, METRIC_VISITS, (double)result->answers / result->used.seconds);
        row_add_latency(row, ROUTE_EDGE, &result->duration);
        row_add(row, ROUTE_EDGE, METRIC_CPU_VISIT,
                result->used.relay * 1e6 / (double)result->answers);
        row_add_used(row, ROUTE_EDGE, &result->used);
    }
    free(result);
    return 0;
}

/* So many online, and visits among them. */
static int measure_level(struct edge_rig *edge, struct agents *agents, int count)
{
    struct rig *rig = edge->rig;
    struct report_row *row =
        report_row_again(edge->report, "http, %d sockets, an agent each", count);
    row->group = "sockets";
    row->at = count;
    edge_progress(row, ROUTE_EDGE);
    uint64_t memory = process_memory(rig->server_pid);
    int before = agents->online;
    uint64_t began = client_now();
    bool online = agents_grow(agents, count);
    double seconds = (double)(client_now() - began) / 1e9;
    if (!report_check(edge->report, online, "%s: %d came online, the first failure: %s", row->title,
                      agents->online, agents->error)) {
        return 0;
    }
    client_wait(&rig->client, rig->options->smoke ? 0.1 : 1);
    if (before) {
        row_add(row, ROUTE_EDGE, METRIC_MEMORY_EACH,
                ((double)process_memory(rig->server_pid) - (double)memory) / 1e3 /
                    (agents->online - before));
    }
    row_add(row, ROUTE_EDGE, METRIC_HANDSHAKES, (agents->online - before) / seconds);
    int failed = measure_visits(edge, row, agents);
    report_check(edge->report, agents->lost == 0, "%s: %d agents were lost", row->title,
                 agents->lost);
    return failed;
}

int edge_sockets(struct edge_rig *edge)
{
    static const int levels[LEVELS] = {10, 1000, 10000}, few[LEVELS] = {2, 10, 40};
    struct rig *rig = edge->rig;
    struct agents agents;
    char error[512];
    if (!edge->has[ROUTE_EDGE]) {
        return 0;
    }
    if (edge_rig_restart(edge, error, sizeof(error)) < 0) {
        return edge_complain(error);
    }
    int most = edge_count(edge, levels[LEVELS - 1], few[LEVELS - 1]);
    int failed = agents_init(&agents, rig, most, AT_ONCE);
    for (int i = 0; i < LEVELS && !failed; i++) {
        int count = rig->options->smoke ? few[i] : levels[i];
        failed = measure_level(edge, &agents, count < most ? count : most);
    }
    agents_close(&agents);
    client_wait(&rig->client, rig->options->smoke ? 0.2 : 1);
    return failed;
}
