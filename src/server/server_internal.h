/* The running server's state, for the files that it is made of: server.c (life, reload, signals),
 * server_listen.c (listeners of tunnels), server_edge.c (visitors and sockets). */
#pragma once

#include "net/acceptor.h"
#include "net/timer.h"
#include "server/admin.h"
#include "server/admission.h"
#include "server/api_glue.h"
#include "server/api_listener.h"
#include "server/auth_account.h"
#include "server/certificate_watch.h"
#include "edge/guard.h"
#include "server/edge_listen.h"
#include "server/server.h"
#include "server/sockets.h"
#include "server/worker.h"

/* Descriptors that the server needs beside one a tunnel and one a target: listeners, loops, files,
 * resolvers. */
#define DESCRIPTORS_KEPT 128

struct listener {
    struct server *server;
    struct acceptor *acceptor;
    bool old;
};

struct server {
    struct loop *loop;
    struct config *config;
    int argc;
    char **argv;
    struct listener *listeners;
    union address *addresses; /* of the listeners, in their order */
    size_t listener_count;
    struct worker **workers;
    struct counters **counters;   /* each worker's, then our own */
    struct counters own_counters; /* what the main thread itself counts */
    size_t worker_count, next_worker;
    struct worker_host host;
    struct admission *admission;
    struct edge_listen *edge; /* these three are NULL without an edge */
    struct guard *guard;
    struct sockets *sockets;
    struct certificate_watch *certificates;
    struct auth *auth;
    /* These are NULL without edge and API. */
    struct accounts *accounts;
    struct grants *grants;
    struct auth_account auth_account;
    struct api *api;
    struct api_glue glue;
    struct api_listener *api_listener;
    struct admin *admin;
    struct signals *signals;
    struct timer drain_timer, watchdog_timer, certificate_timer;
    struct loop_deferred reload_deferred;
    uint64_t watchdog_interval; /* microseconds; 0: no watchdog */
    uint64_t last_tunnel;
    uint64_t refused_logged_at;
    size_t drained;
    bool old; /* there may be a listener for old boards */
    bool draining, stopped;
    int status;
};

/* --- server_listen.c --- */

/* Every listener, tunnels' and visitors'. 0, or -1 with a sentence in `error`. */
int server_open_listeners(struct server *server, char *error, size_t error_size)
    __attribute__((warn_unused_result));
void server_close_listeners(struct server *server);
/* Will one of the sockets that a service manager passed be for old boards? */
bool server_expects_old(void);
/* The policy keeps devices from the server's own ports, which are known once its listeners are
 * open. 0 or -1: no memory. */
int server_set_own(const struct server *server, struct config *config)
    __attribute__((warn_unused_result));
struct worker *server_pick_worker(struct server *server); /* for a tunnel */
/* Closes fd. */
void server_refuse(struct server *server, int fd, const union address *peer, const char *cap);

/* --- server_edge.c; without an edge these do nothing --- */

/* Before the listeners. 0 or a negative errno. */
int server_edge_new(struct server *server) __attribute__((warn_unused_result));
/* Once the workers run: what is stored becomes known to them. 0, or -1 with a sentence. */
int server_edge_start(struct server *server, char *error, size_t error_size)
    __attribute__((warn_unused_result));
/* After a reload: server->config is the new one. */
void server_edge_configure(struct server *server);
/* struct worker_host's on_tunnel. */
void server_on_shared_tunnel(void *user, struct edge_passed *passed);

/* --- server_api.c; without edge and API these do nothing --- */

/* Once the other listeners are open: their ports stand in what the API tells. 0, or -1 with a
 * sentence. */
int server_api_start(struct server *server, char *error, size_t error_size)
    __attribute__((warn_unused_result));
/* After a reload: server->config is the new one. */
void server_api_configure(struct server *server);
/* Certificate files have changed. */
void server_api_renew(struct server *server);
/* struct worker_host's on_api. */
void server_on_api(void *user, struct edge_passed *passed);
void server_api_drain(struct server *server);
/* When the workers have stopped, and before sockets_close(). */
void server_api_stop(struct server *server);
