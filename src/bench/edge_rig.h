/* What `bench edge` measures with, beside the rig: an agent, the HTTP service, and sshd, ssh and
 * nginx where they are installed. The processes are the rig's, and stop with it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "bench/report.h"
#include "bench/rig.h"
#include "bench/web_visitor.h"

struct tls_context;

/* The agent's http socket. */
#define EDGE_HOST "bench-web.edge.localhost"

struct edge_rig {
    struct rig *rig;
    struct report *report;
    bool has[ROUTE_COUNT];
    union address agents_way; /* the tunnels' address, or that of the delay line before it */
    union address web;        /* the service's own */
    union address http[ROUTE_COUNT], https[ROUTE_COUNT]; /* where its visitors come in */
    struct tls_context *tls;                             /* visitors': they judge no certificate */
    int agent_runs;                                      /* how often one was started */
};

/* Starts all that the routes need; a peer that isn't installed is noted in the report and left out.
 * 0, or -1 with a sentence in `error`. edge_rig_stop() in any case. */
int edge_rig_start(struct edge_rig *edge, struct rig *rig, struct report *report, char *error,
                   size_t error_size) __attribute__((warn_unused_result));
void edge_rig_stop(struct edge_rig *edge);

/* An agent with the services echo, sink, source (tcp) and web (http); `instance` as --instance. It
 * isn't waited for. 0 or -1. */
int edge_rig_start_agent(struct edge_rig *edge, const char *instance)
    __attribute__((warn_unused_result));
/* Has it said that it is online with all of its services? Their ports are known then. */
bool edge_rig_agent_is_online(struct edge_rig *edge);
/* Server and agent anew, with the memory of new processes. 0 or -1 with `error`. */
int edge_rig_restart(struct edge_rig *edge, char *error, size_t error_size)
    __attribute__((warn_unused_result));

/* The way of visitors by a route to the HTTP service; keep_alive: without `Connection: close`. */
void edge_rig_way(const struct edge_rig *edge, enum route route, bool https, bool keep_alive,
                  struct web_way *ret_way);
