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
#include "net/signals.h"
#include "server/notify.h"
#include "server/server_internal.h"
#include "server/setup.h"

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
        if (server->edge) /* the other half is the visitors' */
            limits.tunnels = (limits.tunnels + 1) / 2;
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

/* As they are now; changes are looked for from here on. */
static void watch_certificates(struct server *server)
{
    const struct serve_settings *settings = &server->config->settings;
    const char *const files[] = {settings->certificate, settings->key};
    const char *const with_edge[] = {settings->certificate, settings->key,
                                     settings->edge_certificate, settings->edge_key};
    if (server->edge)
        certificate_watch_set(server->certificates, with_edge, 4, settings->edge_certificates);
    else
        certificate_watch_set(server->certificates, files, 2, NULL);
    timer_start(&server->certificate_timer, loop_now(server->loop) + CERTIFICATE_WATCH_INTERVAL);
}

/* New connections get what is there now; those that stand have what they have. */
static void renew_certificates(struct server *server)
{
    struct worker_setup setups[CONFIG_WORKERS_MAX];
    char error[512];
    watch_certificates(server); /* what changes while they are read is seen the next time */
    if (setup_make(server->config, server->old, setups, server->worker_count, error, sizeof error) <
        0) {
        log_write(LOG_ERROR, LOG_NO_FIELDS,
                  "certificate files have changed, those read before stay: %s", error);
        return;
    }
    for (size_t i = 0; i < server->worker_count; i++)
        worker_post_setup(server->workers[i], &setups[i]);
    server_api_renew(server);
    warn_of_old(server);
    log_write(LOG_INFO, LOG_NO_FIELDS, "certificate files have changed and were read again");
}

static void on_certificate_timer(struct timer *timer)
{
    struct server *server =
        (struct server *)((char *)timer - offsetof(struct server, certificate_timer));
    timer_start(timer, loop_now(server->loop) + CERTIFICATE_WATCH_INTERVAL);
    if (!server->draining && certificate_watch_changed(server->certificates))
        renew_certificates(server);
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
    if (server->config->edge_on != config->edge_on || server->config->api_on != config->api_on) {
        bool is_edge = server->config->edge_on != config->edge_on;
        snprintf(error, error_size, "the %s is switched %s by a restart alone",
                 is_edge ? "edge" : "api",
                 (is_edge ? config->edge_on : config->api_on) ? "on" : "off");
        config_unref(config);
        return -1;
    }
    config_keep_edge(config, server->config);
    if (server_set_own(server, config) < 0) {
        snprintf(error, error_size, "out of memory");
        config_unref(config);
        return -1;
    }
    if (setup_make(config, server->old, setups, server->worker_count, error, error_size) < 0) {
        config_unref(config);
        return -1;
    }
    config_unref(server->config);
    server->config = config;
    for (size_t i = 0; i < server->worker_count; i++)
        worker_post_setup(server->workers[i], &setups[i]);
    warn_of_old(server);
    auth_configure(server->auth, config);
    server_edge_configure(server);
    server_api_configure(server);
    server_api_renew(server);
    watch_certificates(server);
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
              "draining: no new tunnels and visitors, substreams may end");
    server_close_listeners(server);
    if (server->sockets)
        sockets_drain(server->sockets);
    server_api_drain(server);
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
    if (server->edge)
        notify_status("%" PRIu64 " tunnels, %" PRIu64 " visitors",
                      admission_tunnels(server->admission),
                      admission_tunnels(edge_listen_admission(server->edge)));
    else
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
    size_t count = server->config->settings.workers;
    server->workers = calloc(count, sizeof *server->workers);
    server->counters = calloc(count + 1, sizeof *server->counters);
    if (!server->workers || !server->counters) {
        snprintf(error, error_size, "out of memory");
        return -1;
    }
    server->host = (struct worker_host){
        .loop = server->loop,
        .auth = server->auth,
        .admission = server->admission,
        .workers = server->workers,
        .visitors = server->edge ? edge_listen_admission(server->edge) : NULL,
        .guard = server->guard,
        .refusals = server->edge ? edge_listen_refusals(server->edge) : NULL,
        .on_tunnel = server_on_shared_tunnel,
        .on_api = server_on_api,
        .on_drained = on_drained,
        .user = server,
    };
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
    server->host.worker_count = count; /* before any of them has something to do */
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
        result = admission_new(&server->admission);
    if (result == 0)
        result = auth_new(server->loop, server->config, &server->auth);
    if (result == 0)
        result = server_edge_new(server);
    if (result == 0)
        result = certificate_watch_new(&server->certificates);
    if (result == 0)
        result = signals_open(server->loop, numbers, 3, on_signal, server, &server->signals);
    if (result < 0) {
        snprintf(error, error_size, "cannot start: %s", strerror(-result));
        return -1;
    }
    server->reload_deferred.run = on_reload;
    timer_init(&server->drain_timer, server->loop, on_drain_timer);
    timer_init(&server->watchdog_timer, server->loop, on_watchdog);
    timer_init(&server->certificate_timer, server->loop, on_certificate_timer);
    set_limits(server);
    return 0;
}

/* Once all that could fail without them has not. */
static int open_all_listeners(struct server *server, char *error, size_t error_size)
{
    if (server_open_listeners(server, error, error_size) < 0)
        return -1;
    if (server->edge) {
        uint16_t https = edge_listen_port(server->edge, EDGE_HTTPS);
        uint16_t shared = edge_listen_port(server->edge, EDGE_SHARED);
        config_set_edge_ports(server->config, edge_listen_port(server->edge, EDGE_HTTP),
                              https ? https : shared);
    }
    if (server_api_start(server, error, error_size) < 0)
        return -1;
    if (server_set_own(server, server->config) < 0) {
        snprintf(error, error_size, "out of memory");
        return -1;
    }
    return 0;
}

static int start(struct server *server, char *error, size_t error_size)
{
    struct worker_setup setups[CONFIG_WORKERS_MAX];
    size_t count = server->config->settings.workers;
    server->old = server->config->listen_old_count > 0 || server_expects_old();
    /* Certificates first: nobody is told of a listener that can't serve. */
    if (config_name_edge(server->config, error, error_size) < 0 ||
        setup_make(server->config, server->old, setups, count, error, error_size) < 0)
        return -1;
    int result = open_main(server, error, error_size);
    if (result == 0)
        result = start_workers(server, setups, error, error_size);
    if (result < 0) {
        for (size_t i = 0; i < count; i++)
            setup_drop(&setups[i]);
        return -1;
    }
    if (server_edge_start(server, error, error_size) < 0 ||
        open_all_listeners(server, error, error_size) < 0 ||
        open_admin(server, error, error_size) < 0)
        return -1;
    watch_certificates(server);
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
    server_close_listeners(server);
    if (server->worker_count > 0)
        worker_stop_all(server->workers, server->worker_count, server->loop);
    guard_stop(server->guard); /* what it still brings is for the workers' loops */
    server_api_stop(server);
    sockets_close(server->sockets); /* nobody asks any more */
    for (size_t i = 0; i < server->worker_count; i++)
        worker_free(server->workers[i]);
    admin_close(server->admin);
    signals_close(server->signals);
    if (server->loop) {
        timer_stop(&server->drain_timer);
        timer_stop(&server->watchdog_timer);
        timer_stop(&server->certificate_timer);
        loop_undefer(server->loop, &server->reload_deferred);
    }
    if (server->auth)
        auth_free(server->auth);
    if (server->loop)
        loop_free(server->loop); /* runs what the workers reported last */
    edge_listen_free(server->edge);
    guard_free(server->guard);
    certificate_watch_free(server->certificates);
    admission_free(server->admission);
    free(server->counters);
    free(server->workers);
    free(server->listeners);
    free(server->addresses);
    config_unref(server->config);
    free(server);
}
