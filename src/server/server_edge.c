#include "server/server_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"

/* --- Visitors, and the sockets that they come to --- */

static void share(void *user, struct listening *listening, enum edge_entry entry)
{
    struct server *server = user;
    for (size_t i = 0; i < server->worker_count; i++)
        worker_post_listen(server->workers[i], listening, entry, 0);
}

static void accept_at(void *user, unsigned worker, uint64_t socket, struct listening *listening)
{
    struct server *server = user;
    worker_post_listen(server->workers[worker], listening, EDGE_PORT, socket);
}

static void stop_accepting(void *user, unsigned worker, uint64_t socket)
{
    struct server *server = user;
    worker_post_unlisten(server->workers[worker], socket);
}

/* A device at the port that it shares with visitors is a tunnel like any other. */
void server_on_shared_tunnel(void *user, struct edge_passed *passed)
{
    struct server *server = user;
    if (server->draining || server->stopped) {
        edge_passed_free(passed);
        return;
    }
    const char *cap = admission_enter(server->admission, &passed->visitor);
    if (cap) {
        int fd = passed->fd;
        passed->fd = -1;
        server_refuse(server, fd, &passed->visitor, cap);
        edge_passed_free(passed);
        return;
    }
    worker_post_tunnel(server_pick_worker(server), passed, ++server->last_tunnel);
}

static void publish(void *user, const struct registry_change *change)
{
    struct server *server = user;
    for (size_t i = 0; i < server->worker_count; i++)
        worker_post_change(server->workers[i], change);
}

static void close_tunnel(void *user, struct tunnel_ref ref, const char *reason)
{
    struct server *server = user;
    if (ref.worker < server->worker_count)
        worker_post_close_tunnel(server->workers[ref.worker], ref, reason);
}

int server_edge_new(struct server *server)
{
    const struct edge_listen_host host = {share, server};
    if (!server->config->edge_on)
        return 0;
    int result = edge_listen_new(&host, &server->edge);
    if (result == 0)
        edge_listen_configure(server->edge, server->config);
    return result < 0 ? result : guard_new(&server->guard);
}

int server_edge_start(struct server *server, char *error, size_t error_size)
{
    const struct sockets_host host = {publish, close_tunnel, accept_at, stop_accepting, server};
    if (!server->config->accounts_on)
        return 0;
    if (sockets_open(server->loop, server->config, &host, &server->sockets, error, error_size) < 0)
        return -1;
    if (server->edge) /* no worker has a tunnel yet that would ask */
        server->host.sockets = server->sockets;
    return 0;
}

void server_edge_configure(struct server *server)
{
    if (server->edge)
        edge_listen_configure(server->edge, server->config);
    if (server->sockets && sockets_configure(server->sockets, server->config) < 0)
        log_write(LOG_ERROR, LOG_NO_FIELDS,
                  "the edge's domains and ports stay as they were: out of memory");
}

size_t server_edge_count(const struct server *server)
{
    return server->edge ? edge_listen_count(server->edge) : 0;
}

const union address *server_edge_address(const struct server *server, size_t index,
                                         enum edge_entry *ret_entry)
{
    return edge_listen_address(server->edge, index, ret_entry);
}
