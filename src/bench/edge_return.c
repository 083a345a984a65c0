/* Coming back: an agent that was killed, one that fell silent, and a thousand after the server's
 * restart. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/agents.h"
#include "bench/edge_parts.h"
#include "bench/modes.h"
#include "bench/rig_server.h"
#include "bench/web_load.h"

#define AGENTS        1000
#define SMOKE_AGENTS  30
#define AT_ONCE       16
#define BACK_SECONDS  30.0 /* nobody waits longer */
#define AWAY_SECONDS  3.0
#define SMOKE_AWAY    0.5
#define BETWEEN_TRIES 0.005

/* --- One agent --- */

static double ms_since(uint64_t began)
{
    return (double)(client_now() - began) / 1e6;
}

/* Visits until one works; false when none did. */
static bool wait_for_visit(struct edge_rig *edge, struct report_row *row)
{
    struct web_way way;
    uint64_t began = client_now(), online = 0;
    edge_rig_way(edge, ROUTE_EDGE, false, false, &way);
    while (ms_since(began) < BACK_SECONDS * 1e3) {
        if (!online && edge_rig_agent_is_online(edge)) {
            online = client_now();
        }
        if (web_load_try(&way, 1)) {
            row_add(row, ROUTE_EDGE, METRIC_BACK, ms_since(began));
            row_add(row, ROUTE_EDGE, METRIC_BACK_ONLINE, online ? ms_since(online) : 0);
            return true;
        }
        client_wait(way.client, BETWEEN_TRIES);
    }
    return false;
}

static void bury(struct process *agent)
{
    kill(agent->pid, SIGKILL);
    process_stop(agent, 0);
}

static int measure_one(struct edge_rig *edge, bool silent)
{
    struct rig *rig = edge->rig;
    struct report_row *row =
        report_row_again(edge->report, "an agent that %s, and a new one in its place",
                         silent ? "fell silent (stopped)" : "was killed");
    edge_progress(row, ROUTE_EDGE);
    struct process old = rig->agent;
    if (silent) {
        kill(old.pid, SIGSTOP);
    } else {
        bury(&old);
    }
    rig->agent = (struct process){0};
    int failed = edge_rig_start_agent(edge, "bench");
    bool back = !failed && wait_for_visit(edge, row);
    if (silent) {
        bury(&old);
    }
    report_check(edge->report, failed || back, "%s: no visit worked within %.0f s", row->title,
                 BACK_SECONDS);
    for (int i = 0; i < 500 && back && !edge_rig_agent_is_online(edge); i++) {
        client_wait(&rig->client, 0.02);
    }
    return failed;
}

/* --- A thousand --- */

/* Connections that the kernel threw away because a queue of them was full, or -1. The file has
 * lines in pairs: names, and their numbers. */
static long count_overflows(void)
{
    char names[4096], numbers[4096];
    long found = -1;
    FILE *file = fopen("/proc/net/netstat", "re");
    while (file && found < 0 && fgets(names, sizeof(names), file) &&
           fgets(numbers, sizeof(numbers), file)) {
        char *name_rest = names, *number_rest = numbers, *name, *number;
        while ((name = strsep(&name_rest, " \n")) && (number = strsep(&number_rest, " \n"))) {
            if (strcmp(name, "ListenOverflows") == 0) {
                found = strtol(number, NULL, 10);
            }
        }
    }
    if (file) {
        fclose(file);
    }
    return found;
}

/* The server goes for a while, and all have to come back. */
static int restart_below(struct edge_rig *edge, struct agents *agents, struct report_row *row)
{
    struct rig *rig = edge->rig;
    char error[512];
    double away = rig->options->smoke ? SMOKE_AWAY : AWAY_SECONDS;
    agents->coming_back = true;
    uint64_t gone = client_now();
    process_stop(&rig->agent, 2000);
    rig_stop_server(rig);
    /* Stopping it took some of the time, in which the agents' own clocks stood still with us. */
    double left = away - ms_since(gone) / 1e3;
    client_wait(&rig->client, left > 0.1 ? left : 0.1);
    long overflows = count_overflows();
    uint64_t began = client_now();
    if (rig_start_server(rig, error, sizeof(error)) < 0) {
        return edge_complain(error);
    }
    rig->client.server = edge->agents_way;
    bool all = agents_wait(agents, BACK_SECONDS);
    row_add(row, ROUTE_EDGE, METRIC_BACK, ms_since(began));
    report_check(edge->report, all, "%s: %d of %d came back", row->title, agents->online,
                 agents->count);
    report_check(edge->report, overflows >= 0 && count_overflows() == overflows,
                 "%s: the accept queue overflowed %ld times", row->title,
                 count_overflows() - overflows);
    return 0;
}

static int measure_many(struct edge_rig *edge)
{
    struct rig *rig = edge->rig;
    struct agents agents;
    int count = edge_count(edge, AGENTS, SMOKE_AGENTS);
    struct report_row *row =
        report_row_again(edge->report, "%d agents after the server was away for %.1f s", count,
                         rig->options->smoke ? SMOKE_AWAY : AWAY_SECONDS);
    edge_progress(row, ROUTE_EDGE);
    int failed = agents_init(&agents, rig, count, AT_ONCE);
    if (!failed && report_check(edge->report, agents_grow(&agents, count),
                                "%s: %d came online at first, the first failure: %s", row->title,
                                agents.online, agents.error)) {
        failed = restart_below(edge, &agents, row);
    }
    agents_close(&agents);
    return failed;
}

int edge_return(struct edge_rig *edge)
{
    char error[512];
    if (!edge->has[ROUTE_EDGE]) {
        return 0;
    }
    if (measure_one(edge, false) < 0 || measure_one(edge, true) < 0 || measure_many(edge) < 0) {
        return -1;
    }
    /* The parts after this one, in the next round, want their agent. */
    return edge_rig_restart(edge, error, sizeof(error)) < 0 ? edge_complain(error) : 0;
}
