/* Agents that the bench plays itself, thousands of them: a tunnel each, with one http socket that
 * answers visits with its own number. They come back as `streamplex connect` does.
 *
 *   agents_open() -> all online -> visits -> [the server goes, and they come back] ->
 *   agents_close()
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "bench/client_tunnel.h"
#include "bench/histogram.h"
#include "bench/rig.h"
#include "streamplex.h"

#define AGENT_BODY_SIZE 8 /* of an answer: the agent's number */
#define AGENT_HOST_SIZE 64

struct agent;

struct agents {
    struct rig *rig;
    struct plex_config plex;
    struct plex_callbacks callbacks;
    struct client_tunnel_callbacks tunnel_callbacks;
    struct agent **agents; /* by number; the pointers stay */
    int count, capacity;
    int concurrency;
    int begun, under_way; /* of the first opens, and of these those that aren't decided */
    int online;
    bool coming_back; /* a lost one tries again; else it counts as lost */
    int wanted;       /* the client is woken when so many are online */
    int failed, lost;
    char error[160];           /* the first failure's */
    struct histogram duration; /* from connecting to `registered`, of each first open */
};

/* 0 or -1 (memory). capacity: how many there will be at most. */
int agents_init(struct agents *agents, struct rig *rig, int capacity, int concurrency)
    __attribute__((warn_unused_result));
/* As many more as make `count`, waited for. False when not all of them are online. */
bool agents_grow(struct agents *agents, int count);
/* Waits until all are online. */
bool agents_wait(struct agents *agents, double seconds);
/* The host name of an agent's socket, and what it answers. */
void agents_name(int number, char host[AGENT_HOST_SIZE]);
void agents_body(int number, char body[AGENT_BODY_SIZE + 1]);
void agents_close(struct agents *agents); /* takes one that is zero */
