#include "server/server_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "server/notify.h"

/* --- Accepting --- */

struct worker *server_pick_worker(struct server *server)
{
    /* The one with the fewest tunnels; the turn goes on, so that a burst is spread before the
     * counts have followed. */
    size_t start = server->next_worker++ % server->worker_count;
    struct worker *best = server->workers[start];
    for (size_t i = 1; i < server->worker_count; i++) {
        struct worker *worker = server->workers[(start + i) % server->worker_count];
        if (worker->counters.tunnels < best->counters.tunnels)
            best = worker;
    }
    return best;
}

void server_refuse(struct server *server, int fd, const union address *peer, const char *cap)
{
    char text[ADDRESS_TEXT_MAX];
    close(fd);
    counter_add(&server->own_counters.tunnels_refused, 1);
    /* One line a second: a flood of connections shall not be one of lines. */
    if (loop_now(server->loop) - server->refused_logged_at < 1000000)
        return;
    server->refused_logged_at = loop_now(server->loop);
    log_write(LOG_WARNING,
              LOG_FIELDS(LOG_TEXT("peer", address_format(peer, text)), LOG_TEXT("cap", cap)),
              "connection refused");
}

static void on_accept(struct acceptor *acceptor, int fd, const union address *peer, void *user)
{
    struct listener *listener = user;
    struct server *server = listener->server;
    const char *cap = admission_enter(server->admission, peer);
    if (cap)
        server_refuse(server, fd, peer, cap);
    else
        worker_post_accept(server_pick_worker(server), fd, peer, ++server->last_tunnel,
                           listener->old);
}

/* --- Listeners --- */

static int add_listener(struct server *server, const union address *address, int fd, bool old,
                        char *error, size_t error_size)
{
    char text[ADDRESS_TEXT_MAX];
    struct listener *listener = &server->listeners[server->listener_count];
    *listener = (struct listener){.server = server, .old = old};
    int result =
        fd >= 0 ? acceptor_adopt(server->loop, fd, on_accept, listener, &listener->acceptor)
                : acceptor_open(server->loop, address, on_accept, listener, &listener->acceptor);
    if (result < 0) {
        snprintf(error, error_size, "cannot listen on %s: %s",
                 address ? address_format(address, text) : "the socket passed", strerror(-result));
        return -1;
    }
    union address *real = &server->addresses[server->listener_count++];
    acceptor_address(listener->acceptor, real);
    log_write(LOG_INFO,
              LOG_FIELDS(LOG_TEXT("listener", old ? "tunnels-old" : "tunnels"),
                         LOG_TEXT("address", address_format(real, text))),
              "listening");
    if (old)
        log_write(LOG_WARNING, LOG_FIELDS(LOG_TEXT("address", text)),
                  "this listener takes TLS 1.0 and ciphers that are broken, for boards that know "
                  "no better: "
                  "anybody on their path can read and change what they send");
    return 0;
}

/* A socket that a service manager passed. Its name tells what it is for: the edge's have the names
 * of their settings, a name that ends in "old" is for old boards, any other for tunnels. */
static int adopt_listener(struct server *server, int fd, const char *name, char *error,
                          size_t error_size)
{
    enum edge_entry entry;
    size_t length = strlen(name);
    if (!edge_listen_entry_of(name, &entry))
        return add_listener(server, NULL, fd, length >= 3 && !strcmp(name + length - 3, "old"),
                            error, error_size);
    if (server->edge)
        return edge_listen_open(server->edge, entry, NULL, fd, error, error_size);
    snprintf(error, error_size, "a socket named %s was passed, but the edge is off: give --%s, too",
             name, name);
    return -1;
}

/* How many of a kind were passed: they take the place of the setting's addresses. */
static size_t count_adopted(const struct server *server, enum edge_entry entry)
{
    size_t found = 0;
    enum edge_entry other;
    for (size_t i = 0; server->edge && i < edge_listen_count(server->edge); i++) {
        edge_listen_address(server->edge, i, &other);
        found += other == entry;
    }
    return found;
}

static int open_edge_listeners(struct server *server, char *error, size_t error_size)
{
    const struct config *config = server->config;
    const struct {
        const union address *addresses;
        size_t count;
        enum edge_entry entry;
    } kinds[] = {
        {config->edge_http, config->edge_http_count, EDGE_HTTP},
        {config->edge_https, config->edge_https_count, EDGE_HTTPS},
        {config->shared_443, config->shared_443_count, EDGE_SHARED},
    };
    for (size_t kind = 0; server->edge && kind < sizeof kinds / sizeof *kinds; kind++) {
        bool adopted = count_adopted(server, kinds[kind].entry) > 0;
        for (size_t i = 0; i < kinds[kind].count && !adopted; i++)
            if (edge_listen_open(server->edge, kinds[kind].entry, &kinds[kind].addresses[i], -1,
                                 error, error_size) < 0)
                return -1;
    }
    return 0;
}

/* Sockets passed by a service manager take the place of --listen and --listen-old, and of each of
 * the edge's settings that they are named after. */
int server_open_listeners(struct server *server, char *error, size_t error_size)
{
    const struct config *config = server->config;
    int first = 0;
    char **names = NULL;
    int passed = notify_listen_fds(&first, &names);
    size_t most =
        config->listen_count + config->listen_old_count + (size_t)(passed > 0 ? passed : 0);
    server->listeners = calloc(most, sizeof *server->listeners);
    server->addresses = calloc(most, sizeof *server->addresses);
    if (!server->listeners || !server->addresses) {
        snprintf(error, error_size, "out of memory");
        return -1;
    }
    int result = 0;
    for (int i = 0; i < passed && result == 0; i++)
        result =
            adopt_listener(server, first + i, names && names[i] ? names[i] : "", error, error_size);
    bool adopted = server->listener_count > 0;
    for (size_t i = 0; i < config->listen_count && !adopted && result == 0; i++)
        result = add_listener(server, &config->listen[i], -1, false, error, error_size);
    for (size_t i = 0; i < config->listen_old_count && !adopted && result == 0; i++)
        result = add_listener(server, &config->listen_old[i], -1, true, error, error_size);
    if (result == 0)
        result = open_edge_listeners(server, error, error_size);
    notify_free_names(names, passed);
    return result;
}

/* Names are separated by ':'. */
bool server_expects_old(void)
{
    const char *names = getenv("LISTEN_FDNAMES");
    for (const char *found = names ? strstr(names, "old") : NULL; found;
         found = strstr(found + 1, "old"))
        if (found[3] == ':' || !found[3])
            return true;
    return false;
}

void server_close_listeners(struct server *server)
{
    for (size_t i = 0; i < server->listener_count; i++) {
        acceptor_close(server->listeners[i].acceptor);
        server->listeners[i].acceptor = NULL;
    }
    if (server->edge)
        edge_listen_close(server->edge);
}

int server_set_own(const struct server *server, struct config *config)
{
    size_t edge = server->edge ? edge_listen_count(server->edge) : 0;
    enum edge_entry entry;
    const union address *api = NULL;
    size_t apis = server->api_listener ? api_listener_addresses(server->api_listener, &api) : 0;
    size_t count = server->listener_count + edge;
    union address *own = calloc(count + apis + 1, sizeof *own);
    if (!own)
        return -1;
    for (size_t i = 0; i < server->listener_count; i++)
        own[i] = server->addresses[i];
    for (size_t i = 0; i < edge; i++)
        own[server->listener_count + i] = *edge_listen_address(server->edge, i, &entry);
    for (size_t i = 0; i < apis; i++)
        own[count + i] = api[i];
    int result = egress_set_own(&config->egress, own, count + apis);
    free(own);
    return result;
}

bool server_is_old(const struct server *server, size_t index)
{
    return server->listeners[index].old;
}

bool server_has_old(const struct server *server)
{
    for (size_t i = 0; i < server->listener_count; i++)
        if (server->listeners[i].old)
            return true;
    return false;
}

size_t server_addresses(const struct server *server, const union address **ret_addresses)
{
    *ret_addresses = server->addresses;
    return server->listener_count;
}
