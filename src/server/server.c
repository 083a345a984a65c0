#include "server/server.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "net/acceptor.h"
#include "net/signals.h"
#include "net/timer.h"
#include "server/admin.h"
#include "server/admission.h"
#include "server/notify.h"
#include "server/setup.h"
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
    struct auth *auth;
    struct admin *admin;
    struct signals *signals;
    struct timer drain_timer, watchdog_timer;
    struct loop_deferred reload_deferred;
    uint64_t watchdog_interval; /* microseconds; 0: no watchdog */
    uint64_t last_tunnel;
    uint64_t refused_logged_at;
    size_t drained;
    bool old; /* there may be a listener for old boards */
    bool draining, stopped;
    int status;
};

/* --- Accepting --- */

static struct worker *pick_worker(struct server *server)
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

static void refuse(struct server *server, int fd, const union address *peer, const char *cap)
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
        refuse(server, fd, peer, cap);
    else
        worker_post_accept(pick_worker(server), fd, peer, ++server->last_tunnel, listener->old);
}

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

/* Sockets passed by a service manager take the place of --listen and --listen-old; a name that ends
 * in "old" tells which. */
static int open_listeners(struct server *server, char *error, size_t error_size)
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
    for (int i = 0; i < passed && result == 0; i++) {
        size_t length = names && names[i] ? strlen(names[i]) : 0;
        bool old = length >= 3 && !strcmp(names[i] + length - 3, "old");
        result = add_listener(server, NULL, first + i, old, error, error_size);
    }
    for (size_t i = 0; i < config->listen_count && passed <= 0 && result == 0; i++)
        result = add_listener(server, &config->listen[i], -1, false, error, error_size);
    for (size_t i = 0; i < config->listen_old_count && passed <= 0 && result == 0; i++)
        result = add_listener(server, &config->listen_old[i], -1, true, error, error_size);
    notify_free_names(names, passed);
    return result;
}

/* Is one of the sockets that will be taken over for old boards? Names are separated by ':'. */
static bool expects_old(void)
{
    const char *names = getenv("LISTEN_FDNAMES");
    for (const char *found = names ? strstr(names, "old") : NULL; found;
         found = strstr(found + 1, "old"))
        if (found[3] == ':' || !found[3])
            return true;
    return false;
}

static void close_listeners(struct server *server)
{
    for (size_t i = 0; i < server->listener_count; i++) {
        acceptor_close(server->listeners[i].acceptor);
        server->listeners[i].acceptor = NULL;
    }
}

/* Configuration
 * --------------------------------------------------------------------------------------------- */

static void set_limits(struct server *server)
{
    const struct serve_settings *settings = &server->config->settings;
    struct admission_limits limits = {
        .tunnels = settings->max_tunnels,
        .tunnels_per_address = settings->max_tunnels_per_address,
        .unauthed = settings->max_unauthed,
        .unauthed_per_address = settings->max_unauthed_per_address,
    };
    if (!limits.tunnels) {
        struct rlimit files;
        getrlimit(RLIMIT_NOFILE, &files);
        limits.tunnels = files.rlim_cur > 2 * DESCRIPTORS_KEPT ? files.rlim_cur - DESCRIPTORS_KEPT
                                                               : DESCRIPTORS_KEPT;
    }
    admission_configure(server->admission, &limits);
}

/* What was changed and can't take effect in a running server, so that nobody waits for it. */
static void warn_of_fixed_change(const struct config *before, const struct config *after)
{
    const char *name =
        settings_find_fixed_change(&serve_table, &before->settings, &after->settings);
    if (name)
        log_write(LOG_WARNING, LOG_FIELDS(LOG_TEXT("setting", name)),
                  "a changed setting takes a restart");
}

/* Worth more than a line that nobody reads: without it the operator only sees handshakes fail. */
static void warn_of_old(const struct server *server)
{
    if (server_has_old(server) && setup_shuts_out_old(server->config))
        log_write(LOG_WARNING, LOG_FIELDS(LOG_TEXT("cert", server->config->settings.certificate)),
                  "this certificate isn't RSA: boards without ECDHE can't connect to the old "
                  "listener; name an RSA one, or none for one made here");
}

/* One for each worker, or none. */
static int make_setups(struct config *config, bool old, struct worker_setup *setups, size_t count,
                       char *error, size_t error_size)
{
    for (size_t i = 0; i < count; i++) {
        if (setup_make(config, old, &setups[i], error, error_size) < 0) {
            while (i-- > 0)
                setup_drop(&setups[i]);
            return -1;
        }
    }
    return 0;
}

static int reload(struct server *server, char *error, size_t error_size)
{
    struct config *config = NULL;
    struct worker_setup setups[CONFIG_WORKERS_MAX];
    if (config_load(server->argc, server->argv, &config, error, error_size) < 0)
        return -1;
    warn_of_fixed_change(server->config, config);
    /* What a running server keeps: its threads. */
    config->settings.workers = server->worker_count;
    if (egress_set_own(&config->egress, server->addresses, server->listener_count) < 0) {
        snprintf(error, error_size, "out of memory");
        config_unref(config);
        return -1;
    }
    if (make_setups(config, server->old, setups, server->worker_count, error, error_size) < 0) {
        config_unref(config);
        return -1;
    }
    config_unref(server->config);
    server->config = config;
    for (size_t i = 0; i < server->worker_count; i++)
        worker_post_setup(server->workers[i], &setups[i]);
    warn_of_old(server);
    auth_configure(server->auth, config);
    set_limits(server);
    log_configure((enum log_level)config->settings.log_level,
                  (enum log_format)config->settings.log_format);
    return 0;
}

/* --- Signals --- */

static void stop(struct server *server, int status)
{
    if (server->stopped) /* the first one's status stands */
        return;
    server->stopped = true;
    server->status = status;
    loop_stop(server->loop);
}

static void on_drain_timer(struct timer *timer)
{
    struct server *server = (struct server *)((char *)timer - offsetof(struct server, drain_timer));
    log_write(LOG_WARNING, LOG_NO_FIELDS, "drain time is over: closing what is left");
    stop(server, 0);
}

static void on_drained(void *user)
{
    struct server *server = user;
    if (++server->drained == server->worker_count)
        stop(server, 0);
}

static void drain(struct server *server)
{
    server->draining = true;
    notify_stopping();
    log_write(LOG_INFO, LOG_FIELDS(LOG_NUMBER("tunnels", admission_tunnels(server->admission))),
              "draining: no new tunnels, substreams may end");
    close_listeners(server);
    for (size_t i = 0; i < server->worker_count; i++)
        worker_post_drain(server->workers[i]);
    timer_start(&server->drain_timer, loop_now(server->loop) + server->config->settings.drain);
}

static void on_reload(struct loop_deferred *deferred)
{
    struct server *server =
        (struct server *)((char *)deferred - offsetof(struct server, reload_deferred));
    char error[512];
    if (server->draining) {
        log_write(LOG_WARNING, LOG_NO_FIELDS, "not reloading: the server drains");
        return;
    }
    notify_reloading();
    if (reload(server, error, sizeof error) < 0)
        log_write(LOG_ERROR, LOG_NO_FIELDS, "reload failed, the configuration stays as it was: %s",
                  error);
    else
        log_write(LOG_INFO, LOG_NO_FIELDS, "configuration reloaded");
    notify_ready();
}

/* Signals that came during one reload ask for one more, not for one each; and a SIGTERM among them
 * doesn't wait for it. */
static void on_signal(int number, void *user)
{
    struct server *server = user;
    if (number == SIGHUP) {
        loop_defer(server->loop, &server->reload_deferred);
    } else if (server->draining) {
        log_write(LOG_WARNING, LOG_NO_FIELDS, "second signal: stopping at once");
        stop(server, 1);
    } else {
        drain(server);
    }
}

/* The service manager hears from us only as long as each worker answers. */
static void on_watchdog(struct timer *timer)
{
    struct server *server =
        (struct server *)((char *)timer - offsetof(struct server, watchdog_timer));
    bool all = true;
    for (size_t i = 0; i < server->worker_count; i++) {
        all = atomic_exchange(&server->workers[i]->alive, false) && all;
        worker_post_heartbeat(server->workers[i]);
    }
    if (all)
        notify_watchdog();
    else
        log_write(LOG_ERROR, LOG_NO_FIELDS, "a worker doesn't answer");
    notify_status("%" PRIu64 " tunnels", admission_tunnels(server->admission));
    timer_start(timer, loop_now(server->loop) + server->watchdog_interval);
}

/* --- Life --- */

static bool is_ready(void *user)
{
    return !((struct server *)user)->draining;
}

/* Takes the setups that it has a worker for; the others stay the caller's. */
static int start_workers(struct server *server, struct worker_setup *setups, char *error,
                         size_t error_size)
{
    server->host =
        (struct worker_host){server->loop, server->auth, server->admission, on_drained, server};
    size_t count = server->config->settings.workers;
    server->workers = calloc(count, sizeof *server->workers);
    server->counters = calloc(count + 1, sizeof *server->counters);
    if (!server->workers || !server->counters) {
        snprintf(error, error_size, "out of memory");
        return -1;
    }
    server->host.workers = server->workers;
    server->host.worker_count = count;
    for (size_t i = 0; i < count; i++) {
        int result = worker_start((unsigned)i, &server->host, &setups[i], &server->workers[i]);
        setups[i] = (struct worker_setup){0};
        if (result < 0) {
            snprintf(error, error_size, "cannot start a worker: %s", strerror(-result));
            return -1;
        }
        server->counters[i] = &server->workers[i]->counters;
        server->worker_count++;
    }
    server->counters[count] = &server->own_counters;
    return 0;
}

static int open_admin(struct server *server, char *error, size_t error_size)
{
    const char *text = server->config->settings.admin;
    struct admin_options options = {
        .counters = server->counters,
        .counters_count = server->worker_count + 1,
        .is_ready = is_ready,
        .user = server,
    };
    if (!text)
        return 0;
    if (address_parse(text, &options.address) < 0) {
        snprintf(error, error_size, "--admin %s: not an address and port", text);
        return -1;
    }
    int result = admin_open(server->loop, &options, &server->admin);
    if (result < 0) {
        snprintf(error, error_size, "--admin %s: %s", text,
                 result == -EPERM ? "only a loopback address will do" : strerror(-result));
        return -1;
    }
    union address real;
    char real_text[ADDRESS_TEXT_MAX];
    admin_address(server->admin, &real);
    log_write(LOG_INFO,
              LOG_FIELDS(LOG_TEXT("listener", "admin"),
                         LOG_TEXT("address", address_format(&real, real_text))),
              "listening");
    return 0;
}

static int open_main(struct server *server, char *error, size_t error_size)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
    int result = loop_new(&server->loop);
    if (result == 0)
        result = admission_new(server->loop, &server->admission);
    if (result == 0)
        result = auth_new(server->loop, server->config, &server->auth);
    if (result == 0)
        result = signals_open(server->loop, numbers, 3, on_signal, server, &server->signals);
    if (result < 0) {
        snprintf(error, error_size, "cannot start: %s", strerror(-result));
        return -1;
    }
    server->reload_deferred.run = on_reload;
    timer_init(&server->drain_timer, server->loop, on_drain_timer);
    timer_init(&server->watchdog_timer, server->loop, on_watchdog);
    set_limits(server);
    if (open_listeners(server, error, error_size) < 0)
        return -1;
    /* The policy keeps devices from the server's own ports, which are known once its listeners are
     * open. */
    if (egress_set_own(&server->config->egress, server->addresses, server->listener_count) < 0) {
        snprintf(error, error_size, "out of memory");
        return -1;
    }
    return 0;
}

static int start(struct server *server, char *error, size_t error_size)
{
    struct worker_setup setups[CONFIG_WORKERS_MAX];
    size_t count = server->config->settings.workers;
    server->old = server->config->listen_old_count > 0 || expects_old();
    /* Certificates first: nobody is told of a listener that can't serve. */
    if (make_setups(server->config, server->old, setups, count, error, error_size) < 0)
        return -1;
    int result = open_main(server, error, error_size);
    if (result == 0)
        result = start_workers(server, setups, error, error_size);
    if (result < 0) {
        for (size_t i = 0; i < count; i++)
            setup_drop(&setups[i]);
        return -1;
    }
    if (open_admin(server, error, error_size) < 0)
        return -1;
    warn_of_old(server);
    server->watchdog_interval = notify_watchdog_interval();
    if (server->watchdog_interval)
        timer_start(&server->watchdog_timer, loop_now(server->loop) + server->watchdog_interval);
    return 0;
}

int server_new(struct config *config, int argc, char **argv, struct server **ret_server,
               char *error, size_t error_size)
{
    struct server *server = calloc(1, sizeof *server);
    if (!server) {
        snprintf(error, error_size, "out of memory");
        config_unref(config);
        return -1;
    }
    server->config = config;
    server->argc = argc;
    server->argv = argv;
    if (start(server, error, error_size) < 0) {
        server_free(server);
        return -1;
    }
    *ret_server = server;
    return 0;
}

int server_run(struct server *server)
{
    log_write(LOG_INFO, LOG_FIELDS(LOG_NUMBER("workers", server->worker_count)), "ready");
    notify_ready();
    loop_run(server->loop);
    log_write(LOG_INFO, LOG_NO_FIELDS, "stopped");
    return server->status;
}

void server_free(struct server *server)
{
    if (!server)
        return;
    /* Workers post to each other: none is freed while another runs. */
    for (size_t i = 0; i < server->worker_count; i++)
        worker_end(server->workers[i]);
    for (size_t i = 0; i < server->worker_count; i++)
        worker_stop(server->workers[i]);
    close_listeners(server);
    admin_close(server->admin);
    signals_close(server->signals);
    if (server->loop) {
        timer_stop(&server->drain_timer);
        timer_stop(&server->watchdog_timer);
        loop_undefer(server->loop, &server->reload_deferred);
    }
    if (server->auth)
        auth_free(server->auth);
    if (server->loop)
        loop_free(server->loop); /* runs what the workers reported last */
    admission_free(server->admission);
    free(server->counters);
    free(server->workers);
    free(server->listeners);
    free(server->addresses);
    config_unref(server->config);
    free(server);
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
