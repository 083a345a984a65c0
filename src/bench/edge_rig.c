#include "bench/edge_rig.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/edge_peers.h"
#include "bench/modes.h"
#include "bench/rig_server.h"
#include "bench/web_service.h"
#include "net/tls.h"

#define AGENT_WAIT_MS 15000
#define PORT_SERVICES 3 /* the first of the targets: all but that which never reads */

static const char *const service_names[] = {
    [TARGET_ECHO] = "echo", [TARGET_SINK] = "sink", [TARGET_SOURCE] = "source"};

static int start_web(struct edge_rig *edge, char *error, size_t error_size)
{
    char *argv[] = {"streamplex", "bench", "@web", NULL}, line[32];
    struct rig *rig = edge->rig;
    if (process_start(argv, -1, NULL, -1, &rig->web) < 0 ||
        process_read_line(&rig->web, line, sizeof(line)) < 0 ||
        address_from_host("127.0.0.1", (uint16_t)strtol(line, NULL, 10), &edge->web) < 0) {
        snprintf(error, error_size, "the HTTP service doesn't start");
        return -1;
    }
    edge->http[ROUTE_PLAIN] = edge->web;
    return 0;
}

/* --- The agent --- */

static int write_services(struct edge_rig *edge)
{
    char path[RIG_PATH_SIZE];
    rig_path(edge->rig, "services.ini", path);
    FILE *file = fopen(path, "we");
    if (!file) {
        return -1;
    }
    for (int target = 0; target < PORT_SERVICES; target++) {
        fprintf(file, "[%s]\nport = %u\ntype = tcp\n", service_names[target],
                address_port(&edge->rig->client.targets[target]));
    }
    fprintf(file, "[web]\nport = %u\ntype = https\nhostname = %s\n", address_port(&edge->web),
            EDGE_HOST);
    return fclose(file) == 0 ? 0 : -1;
}

int edge_rig_start_agent(struct edge_rig *edge, const char *instance)
{
    struct rig *rig = edge->rig;
    char server[64], ca[RIG_PATH_SIZE], token[RIG_PATH_SIZE], services[RIG_PATH_SIZE];
    char output[RIG_PATH_SIZE], log[RIG_PATH_SIZE];
    snprintf(server, sizeof(server), "localhost:%u", address_port(&edge->agents_way));
    rig_path(rig, "ca.pem", ca);
    rig_path(rig, "bench-token", token);
    rig_path(rig, "services.ini", services);
    rig_path(rig, "agent.out", output);
    rig_path(rig, "agent.log", log);
    edge->agent_runs++;
    char *argv[] = {"streamplex", "connect",        "--server", server,         "--ca",
                    ca,           "--file",         services,   "--token-file", token,
                    "--instance", (char *)instance, NULL};
    /* Its log of visits goes to a file: a pipe would have to be read, a terminal to be drawn. */
    return process_start_filed(rig->options->program, argv, output, log, &rig->agent);
}

/* "NAME - edge.localhost:PORT", or the web service's URL. */
static int read_online(struct edge_rig *edge, const char *line)
{
    char name[16];
    unsigned port;
    if (sscanf(line, "%15s - ", name) != 1) {
        return 0;
    }
    for (int target = 0; target < PORT_SERVICES; target++) {
        const char *colon = strrchr(line, ':');
        if (strcmp(name, service_names[target]) == 0 && colon && sscanf(colon, ":%u", &port) == 1) {
            return address_from_host("127.0.0.1", (uint16_t)port,
                                     &edge->rig->client.visits[ROUTE_EDGE][target]) == 0;
        }
    }
    return strcmp(name, "web") == 0;
}

bool edge_rig_agent_is_online(struct edge_rig *edge)
{
    char path[RIG_PATH_SIZE], line[256];
    int found = 0;
    rig_path(edge->rig, "agent.out", path);
    FILE *file = fopen(path, "re");
    while (file && found <= PORT_SERVICES && fgets(line, sizeof(line), file)) {
        found += read_online(edge, line);
    }
    if (file) {
        fclose(file);
    }
    return found > PORT_SERVICES;
}

static int wait_for_agent(struct edge_rig *edge, char *error, size_t error_size)
{
    char path[RIG_PATH_SIZE], line[256] = "";
    for (int waited = 0; waited < AGENT_WAIT_MS; waited += 20) {
        if (edge_rig_agent_is_online(edge)) {
            return 0;
        }
        if (!process_is_alive(&edge->rig->agent)) {
            break;
        }
        poll(NULL, 0, 20);
    }
    rig_path(edge->rig, "agent.log", path);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof(line), file)) {
        line[strcspn(line, "\n")] = 0;
    }
    if (file) {
        fclose(file);
    }
    snprintf(error, error_size, "the agent doesn't come online: %s", line);
    return -1;
}

static int start_agent(struct edge_rig *edge, char *error, size_t error_size)
{
    if (write_services(edge) < 0 || edge_rig_start_agent(edge, "bench") < 0) {
        snprintf(error, error_size, "the agent can't be started");
        return -1;
    }
    return wait_for_agent(edge, error, error_size);
}

/* --- The whole --- */

/* The way to the server of agents, those that the bench plays too. */
static int find_way(struct edge_rig *edge, char *error, size_t error_size)
{
    struct rig *rig = edge->rig;
    const struct bench_options *options = rig->options;
    edge->agents_way = rig->tunnels;
    if (options->rtt_ms &&
        rig_delay_one(rig, &edge->agents_way, options->rtt_ms, mode_rate(rig)) < 0) {
        snprintf(error, error_size, "the delay line doesn't start");
        return -1;
    }
    rig->client.server = edge->agents_way;
    snprintf(rig->client.server_name, sizeof(rig->client.server_name), "localhost");
    return 0;
}

static int start_peers(struct edge_rig *edge, char *error, size_t error_size)
{
    const struct rig *rig = edge->rig;
    bool nginx = rig_has_route(rig, ROUTE_NGINX), both = rig_has_route(rig, ROUTE_NGINX_SSH);
    int ssh = 0;
    if (rig_has_route(rig, ROUTE_SSH) || both) {
        ssh = edge_peers_start_ssh(edge, error, error_size);
        if (ssh < 0) {
            return -1;
        }
        edge->has[ROUTE_SSH] = ssh; /* nginx leads there */
    }
    if (nginx || both) {
        int started = edge_peers_start_nginx(edge, error, error_size);
        if (started < 0) {
            return -1;
        }
        edge->has[ROUTE_NGINX] = nginx && started;
        edge->has[ROUTE_NGINX_SSH] = both && started && ssh;
    }
    edge->has[ROUTE_SSH] = ssh && rig_has_route(rig, ROUTE_SSH);
    return 0;
}

int edge_rig_start(struct edge_rig *edge, struct rig *rig, struct report *report, char *error,
                   size_t error_size)
{
    memset(edge, 0, sizeof(*edge));
    edge->rig = rig;
    edge->report = report;
    edge->has[ROUTE_EDGE] = rig_has_route(rig, ROUTE_EDGE);
    edge->has[ROUTE_PLAIN] = rig_has_route(rig, ROUTE_PLAIN);
    edge->http[ROUTE_EDGE] = rig->edge_http;
    edge->https[ROUTE_EDGE] = rig->edge_https;
    struct tls_client_options visitor = {.insecure = true};
    if (tls_client_new(&visitor, &edge->tls, error, error_size) < 0 ||
        start_web(edge, error, error_size) < 0 || find_way(edge, error, error_size) < 0 ||
        start_agent(edge, error, error_size) < 0) {
        return -1;
    }
    return start_peers(edge, error, error_size);
}

void edge_rig_stop(struct edge_rig *edge)
{
    tls_context_unref(edge->tls);
    edge->tls = NULL;
    process_stop(&edge->rig->agent, 2000);
    process_stop(&edge->rig->ssh, 2000);
}

int edge_rig_restart(struct edge_rig *edge, char *error, size_t error_size)
{
    process_stop(&edge->rig->agent, 2000);
    if (rig_restart(edge->rig, ROUTE_EDGE, error, error_size) < 0) {
        return -1;
    }
    edge->rig->client.server = edge->agents_way;
    return start_agent(edge, error, error_size);
}

void edge_rig_way(const struct edge_rig *edge, enum route route, bool https, bool keep_alive,
                  struct web_way *ret_way)
{
    *ret_way = (struct web_way){
        .client = &edge->rig->client,
        .to = https ? edge->https[route] : edge->http[route],
        .tls = https ? edge->tls : NULL,
        .name = EDGE_HOST,
        .body = web_body(),
        .body_size = WEB_BODY_SIZE,
    };
    web_way_ask(ret_way, EDGE_HOST, !keep_alive);
}
