#include "bench/agents.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/agent_visit.h"
#include "bench/rig_server.h"
#include "net/timer.h"

#define OPEN_SECONDS 300.0
/* As an agent waits before it tries again: 0.5 s, doubled up to 30 s, each between half of that and
 * the whole; microseconds. */
#define BACKOFF_FIRST 500000u
#define BACKOFF_MOST  30000000u

struct agent {
    struct client_tunnel tunnel; /* first */
    struct agents *all;
    int number;
    bool registering; /* its message waits to be pulled */
    bool online, decided;
    uint64_t backoff, random;
    struct timer retry;
};

void agents_name(int number, char host[AGENT_HOST_SIZE])
{
    snprintf(host, AGENT_HOST_SIZE, "bench-%d." RIG_EDGE_DOMAIN, number);
}

void agents_body(int number, char body[AGENT_BODY_SIZE + 1])
{
    snprintf(body, AGENT_BODY_SIZE + 1, "%0*d", AGENT_BODY_SIZE, number % 10000000);
}

static void open_more(struct agents *agents);

static void decide(struct agent *agent, const char *error)
{
    struct agents *agents = agent->all;
    if (agent->decided) {
        return;
    }
    agent->decided = true;
    agents->under_way--;
    if (error && !agents->failed++) {
        snprintf(agents->error, sizeof(agents->error), "%s", error);
    }
    open_more(agents);
    if (!agents->under_way && agents->begun == agents->count) {
        client_wake(&agents->rig->client);
    }
}

static void come_online(struct agent *agent)
{
    struct agents *agents = agent->all;
    if (agent->online) {
        return;
    }
    agent->online = true;
    agent->backoff = BACKOFF_FIRST;
    agents->online++;
    if (!agent->decided) {
        histogram_add(&agents->duration, client_now() - agent->tunnel.began);
    }
    decide(agent, NULL);
    if (agents->online == agents->wanted) {
        client_wake(&agents->rig->client);
    }
}

/* --- The tunnel --- */

static struct agent *agent_of(struct plex_session *session)
{
    return plex_session_user(session); /* its tunnel is its first member */
}

int agent_number(struct plex_session *session)
{
    return agent_of(session)->number;
}

static size_t on_message_pull(struct plex_session *session, char *buffer, size_t capacity)
{
    struct agent *agent = agent_of(session);
    char host[AGENT_HOST_SIZE];
    if (!agent->registering) {
        return 0;
    }
    agent->registering = false;
    agents_name(agent->number, host);
    int length = snprintf(buffer, capacity,
                          "{\"register\":{\"service\":\"web\",\"name\":\"bench-%d\","
                          "\"type\":\"http\",\"hostname\":\"%s\",\"instance\":\"bench-%d\"}}",
                          agent->number, host, agent->number);
    return (size_t)length;
}

static void on_message(struct plex_session *session, const char *json, size_t length)
{
    struct agent *agent = agent_of(session);
    json_t *root = json_loadb(json, length, 0, NULL);
    const json_t *refused = json_object_get(root, "refused");
    const char *message = json_string_value(json_object_get(refused, "message"));
    if (json_object_get(root, "registered")) {
        come_online(agent);
    } else if (refused) {
        decide(agent, message ? message : "refused");
    }
    json_decref(root);
}

static void on_authed(struct client_tunnel *tunnel)
{
    struct agent *agent = (struct agent *)tunnel;
    agent->registering = true;
    plex_session_message_ready(tunnel->session);
}

static void retry_later(struct agent *agent)
{
    agent->random = agent->random * 6364136223846793005u + 1442695040888963407u;
    uint64_t half = agent->backoff / 2;
    timer_start(&agent->retry,
                loop_now(agent->all->rig->client.loop) + half + (agent->random >> 33) % (half + 1));
    agent->backoff = agent->backoff * 2 < BACKOFF_MOST ? agent->backoff * 2 : BACKOFF_MOST;
}

static void on_lost(struct client_tunnel *tunnel, const char *error)
{
    struct agent *agent = (struct agent *)tunnel;
    struct agents *agents = agent->all;
    agents->online -= agent->online;
    agents->lost += agent->online && !agents->coming_back;
    agent->online = false;
    if (agents->coming_back) {
        retry_later(agent);
    } else {
        decide(agent, error);
    }
}

static int open_agent(struct agent *agent)
{
    return client_tunnel_open(&agent->tunnel, &agent->all->rig->client, true, -1,
                              &agent->all->tunnel_callbacks);
}

static void on_retry(struct timer *timer)
{
    struct agent *agent = (struct agent *)((char *)timer - offsetof(struct agent, retry));
    if (open_agent(agent) < 0) {
        retry_later(agent);
    }
}

/* --- All of them --- */

static struct agent *new_agent(struct agents *agents, int number)
{
    struct agent *agent = calloc(1, sizeof(*agent));
    if (agent) {
        agent->all = agents;
        agent->number = number;
        agent->backoff = BACKOFF_FIRST;
        agent->random = (uint64_t)number + 1;
        timer_init(&agent->retry, agents->rig->client.loop, on_retry);
    }
    return agent;
}

static void open_more(struct agents *agents)
{
    while (agents->begun < agents->count && agents->under_way < agents->concurrency) {
        struct agent *agent = agents->agents[agents->begun++];
        agents->under_way++;
        if (open_agent(agent) < 0) {
            agent->decided = true;
            agents->under_way--;
            if (!agents->failed++) {
                snprintf(agents->error, sizeof(agents->error), "no connection");
            }
        }
    }
}

int agents_init(struct agents *agents, struct rig *rig, int capacity, int concurrency)
{
    memset(agents, 0, sizeof(*agents));
    agents->rig = rig;
    agents->capacity = capacity;
    agents->concurrency = concurrency;
    agents->callbacks.on_message = on_message;
    agents->callbacks.on_message_pull = on_message_pull;
    agent_visit_fill_callbacks(&agents->callbacks);
    client_tunnel_fill_callbacks(&agents->callbacks);
    agents->plex = rig->client.plex;
    agents->plex.callbacks = &agents->callbacks;
    agents->tunnel_callbacks = (struct client_tunnel_callbacks){
        .on_authed = on_authed, .on_lost = on_lost, .plex = &agents->plex};
    histogram_init(&agents->duration);
    agents->agents = calloc((size_t)capacity, sizeof(*agents->agents));
    return agents->agents ? 0 : -1;
}

bool agents_grow(struct agents *agents, int count)
{
    while (agents->count < count && agents->count < agents->capacity) {
        struct agent *agent = new_agent(agents, agents->count);
        if (!agent) {
            return false;
        }
        agents->agents[agents->count++] = agent;
    }
    open_more(agents);
    if (agents->under_way) {
        client_wait(&agents->rig->client, OPEN_SECONDS);
    }
    return agents->online == agents->count;
}

bool agents_wait(struct agents *agents, double seconds)
{
    if (agents->online < agents->count) {
        agents->wanted = agents->count;
        client_wait(&agents->rig->client, seconds);
        agents->wanted = 0;
    }
    return agents->online == agents->count;
}

void agents_close(struct agents *agents)
{
    for (int i = 0; i < agents->count; i++) {
        timer_stop(&agents->agents[i]->retry);
        client_tunnel_close(&agents->agents[i]->tunnel);
        free(agents->agents[i]);
    }
    free(agents->agents);
    memset(agents, 0, sizeof(*agents));
}
