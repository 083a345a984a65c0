#include "agent/arrival.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/complain.h"
#include "agent/upstream.h"
#include "net/conn.h"
#include "net/dial.h"
#include "net/relay.h"
#include "net/timer.h"

/* Until a service is connected, its TLS included: it is near. */
#define CONNECT_TIMEOUT 10000000 /* microseconds */

struct arrivals {
    struct loop *loop;
    struct resolver *resolver;
    const struct service_list *services;
    struct upstream *upstreams; /* one for each service */
    arrivals_on_over *on_over;
    void *user;
    unsigned count;
    struct arrival *dead; /* freed when nobody can be inside of them any more */
    struct loop_deferred reclaim;
    struct service_times times;
};

struct arrival {
    struct relay relay; /* first: the relay's callbacks find the arrival by it */
    struct arrivals *arrivals;
    struct plex_substream *substream; /* NULL: over */
    struct upstream *upstream;
    struct dial *dial; /* while one is under way */
    struct conn *conn; /* from then on */
    struct timer deadline;
    struct service_time time;
    struct arrival *next; /* of the dead */
    char visitor[];
};

static uint64_t now_of(const struct arrival *arrival)
{
    return loop_now(arrival->arrivals->loop);
}

/* --- The end of an arrival --- */

static void free_dead(struct loop_deferred *deferred)
{
    struct arrivals *arrivals =
        (struct arrivals *)((char *)deferred - offsetof(struct arrivals, reclaim));

    while (arrivals->dead) {
        struct arrival *arrival = arrivals->dead;
        arrivals->dead = arrival->next;
        free(arrival);
    }
}

/* The one door: what is left to do is the substream's own end, which the callers see to. */
static void get_over(struct arrival *arrival, bool orderly)
{
    struct arrivals *arrivals = arrival->arrivals;
    uint64_t tunnel = arrival->time.tunnel;

    timer_stop(&arrival->deadline);
    dial_cancel(arrival->dial);
    arrival->dial = NULL;
    if (orderly)
        conn_close(arrival->conn);
    else
        conn_abort(arrival->conn);
    arrival->conn = NULL;
    relay_deinit(&arrival->relay);
    service_times_end(&arrivals->times, &arrival->time, now_of(arrival));
    plex_substream_set_user(arrival->substream, NULL);
    arrival->substream = NULL;
    arrival->next = arrivals->dead;
    arrivals->dead = arrival;
    loop_defer(arrivals->loop, &arrivals->reclaim);
    arrivals->count--;
    arrivals->on_over(arrivals->user, tunnel);
}

static void fail(struct arrival *arrival, const char *message, const char *code)
{
    struct plex_substream *substream = arrival->substream;
    /* The texts may be the connection's own, which goes with it. */
    char kept[PLEX_MESSAGE_MAX + 1], kept_code[64];

    snprintf(kept, sizeof kept, "%s", message);
    snprintf(kept_code, sizeof kept_code, "%s", code);
    plex_substream_set_user(substream, NULL);
    plex_substream_abort(substream, kept, kept_code);
    get_over(arrival, false);
}

/* Before the service has taken the connection. Whoever offers it is told why here, for the visitor
 * isn't; once, until it goes well again. */
static void fail_to_connect(struct arrival *arrival, const char *message, const char *code)
{
    struct upstream *upstream = arrival->upstream;
    char trouble[sizeof upstream->trouble];

    snprintf(trouble, sizeof trouble, "%s", message);
    if (strcmp(upstream->trouble, trouble) != 0) {
        memcpy(upstream->trouble, trouble, sizeof trouble);
        complain_write("connect", "%s: the service can't be reached: %s", upstream->service->name,
                       message);
    }
    fail(arrival, message, code);
}

void arrival_on_gone(struct plex_substream *substream, int reason)
{
    struct arrival *arrival = plex_substream_user(substream);

    if (!arrival)
        return;
    relay_flush(&arrival->relay);
    if (!arrival->substream)
        return; /* that failed */
    /* A service that has seen the visitor's end, or that ended itself, has what it needs to know;
     * any other is told by a reset that what it got may not be all. */
    get_over(arrival, reason == PLEX_SUBSTREAM_CLOSED || arrival->relay.shut_down ||
                          (arrival->relay.pull_ended && !arrival->relay.spill.size));
}

/* --- The relay --- */

static void tell_ready(struct relay *relay)
{
    plex_substream_ready(((struct arrival *)relay)->substream);
}

static void tell_consumed(struct relay *relay, size_t length)
{
    struct arrival *arrival = (struct arrival *)relay;
    if (arrival->substream)
        plex_substream_consume(arrival->substream, length);
}

static void tell_end(struct relay *relay)
{
    plex_substream_end(((struct arrival *)relay)->substream);
}

static const struct relay_active_ops active_ops = {tell_ready, tell_consumed, tell_end};

static void on_relay_done(struct relay *relay)
{
    struct arrival *arrival = (struct arrival *)relay;
    struct plex_substream *substream = arrival->substream;

    plex_substream_set_user(substream, NULL);
    plex_substream_close(substream);
    get_over(arrival, true);
}

static void on_relay_failed(struct relay *relay, const char *operation)
{
    struct arrival *arrival = (struct arrival *)relay;
    const char *code = arrival->conn ? conn_error_code(arrival->conn) : "ENOMEM";
    char message[128];

    snprintf(message, sizeof message, "%s %s", operation, code);
    fail(arrival, message, code);
}

static const struct relay_owner_ops owner_ops = {on_relay_done, on_relay_failed};

void arrival_on_data(struct plex_substream *substream, const void *data, size_t length)
{
    struct arrival *arrival = plex_substream_user(substream);

    service_time_asked(&arrival->time, now_of(arrival));
    relay_push(&arrival->relay, data, length);
}

void arrival_on_end(struct plex_substream *substream)
{
    struct arrival *arrival = plex_substream_user(substream);
    relay_push_end(&arrival->relay);
}

size_t arrival_on_pull(struct plex_substream *substream, void *buffer, size_t capacity)
{
    struct arrival *arrival = plex_substream_user(substream);
    size_t count = relay_pull(&arrival->relay, buffer, capacity);

    if (count)
        service_time_answered(&arrival->time, now_of(arrival));
    return count;
}

/* --- The service --- */

static void join(struct arrival *arrival)
{
    timer_stop(&arrival->deadline);
    *arrival->upstream->trouble = '\0';
    /* Which address the service has here isn't the server's business. */
    plex_substream_notify(arrival->substream, PLEX_EVENT_CONNECT, NULL);
    relay_join(&arrival->relay, &relay_conn_ops, arrival->conn);
}

static void on_service_ready(struct conn *conn)
{
    join(conn_user(conn));
}

static void on_service_readable(struct conn *conn)
{
    relay_readable(&((struct arrival *)conn_user(conn))->relay);
}

static void on_service_writable(struct conn *conn)
{
    relay_writable(&((struct arrival *)conn_user(conn))->relay);
}

static void on_service_failed(struct conn *conn)
{
    struct arrival *arrival = conn_user(conn);

    if (arrival->relay.passive_end)
        on_relay_failed(&arrival->relay, "read");
    else
        fail_to_connect(arrival, conn_error_text(conn), conn_error_code(conn));
}

static const struct conn_callbacks service_callbacks = {
    .on_ready = on_service_ready,
    .on_readable = on_service_readable,
    .on_writable = on_service_writable,
    .on_failed = on_service_failed,
};

/* The header goes before all, TLS too. A socket that was just connected takes it whole. */
static bool send_proxy_header(struct arrival *arrival)
{
    unsigned char header[PROXY_HEADER_MAX];
    union address address = {0};

    if (arrival->upstream->service->settings.proxy_protocol == PROXY_NONE)
        return true;
    if (!conn_peer_address(arrival->conn, &address))
        address = (union address){0};
    size_t length = upstream_proxy_header(arrival->upstream, arrival->visitor, &address, header);
    return !length || conn_write(arrival->conn, header, length) == (ssize_t)length;
}

static void connected(struct arrival *arrival)
{
    const struct service_settings *settings = &arrival->upstream->service->settings;

    if (!send_proxy_header(arrival)) {
        fail_to_connect(arrival, "the PROXY header could not be sent", "EPIPE");
        return;
    }
    if (!arrival->upstream->tls)
        join(arrival);
    else if (conn_start_tls_client(arrival->conn, arrival->upstream->tls, settings->host, NULL) < 0)
        fail_to_connect(arrival, "TLS could not be started", "ENOMEM");
}

static void on_lookup(void *user)
{
}

static bool on_judge(void *user, const union address *address)
{
    return true; /* our own service may be anywhere */
}

static void on_connected(void *user, struct conn *conn, const union address *address)
{
    struct arrival *arrival = user;

    arrival->dial = NULL;
    arrival->conn = conn;
    conn_set_callbacks(conn, &service_callbacks, arrival);
    connected(arrival);
}

static void on_dial_failed(void *user, const char *code, const char *message)
{
    struct arrival *arrival = user;

    arrival->dial = NULL;
    fail_to_connect(arrival, message, code);
}

static const struct dial_callbacks dial_callbacks = {on_lookup, on_judge, on_connected,
                                                     on_dial_failed};

static void connect_local(struct arrival *arrival)
{
    struct arrivals *arrivals = arrival->arrivals;
    char message[128];
    int fd = -1;

    int error = upstream_connect_local(arrival->upstream, &fd);
    if (!error)
        error = conn_open(arrivals->loop, fd, &service_callbacks, arrival, &arrival->conn);
    if (!error) {
        connected(arrival);
        return;
    }
    if (fd >= 0)
        close(fd);
    const char *code = strerrorname_np(-error);
    snprintf(message, sizeof message, "connect %s", code ? code : "EIO");
    fail_to_connect(arrival, message, code ? code : "EIO");
}

static void connect_service(struct arrival *arrival)
{
    struct arrivals *arrivals = arrival->arrivals;
    const struct service_settings *settings = &arrival->upstream->service->settings;

    if (upstream_is_local(arrival->upstream))
        connect_local(arrival);
    else if (dial_start(arrivals->loop, arrivals->resolver, settings->host,
                        (uint16_t)settings->port, CONNECT_TIMEOUT, &dial_callbacks, arrival,
                        &arrival->dial) < 0)
        fail_to_connect(arrival, "out of memory", "ENOMEM");
}

static void run_deadline(struct timer *timer)
{
    struct arrival *arrival =
        (struct arrival *)((char *)timer - offsetof(struct arrival, deadline));
    fail_to_connect(arrival, "the service took too long to connect", "ETIMEDOUT");
}

bool arrivals_open(struct arrivals *arrivals, struct plex_substream *substream, const char *service,
                   const char *visitor, uint64_t tunnel)
{
    const struct service *found = service_list_find(arrivals->services, service);
    size_t size = strlen(visitor) + 1;
    struct arrival *arrival = found ? calloc(1, sizeof *arrival + size) : NULL;

    if (!arrival) {
        plex_substream_abort(substream, found ? "out of memory" : "there is no such service",
                             found ? "ENOMEM" : "ENOENT");
        return false;
    }
    relay_init(&arrival->relay, &active_ops, &owner_ops);
    arrival->relay.gathers = true;
    arrival->arrivals = arrivals;
    arrival->substream = substream;
    arrival->upstream = &arrivals->upstreams[found - arrivals->services->items];
    memcpy(arrival->visitor, visitor, size);
    service_times_add(&arrivals->times, &arrival->time, tunnel, plex_substream_id(substream));
    timer_init(&arrival->deadline, arrivals->loop, run_deadline);
    /* TLS is in it; the dial's own limit, which is as long, says more. */
    timer_start(&arrival->deadline, loop_now(arrivals->loop) + CONNECT_TIMEOUT + 1000000);
    plex_substream_set_user(substream, arrival);
    arrivals->count++;
    connect_service(arrival);
    return true;
}

/* --- All of them --- */

int arrivals_new(struct loop *loop, struct resolver *resolver, const struct service_list *services,
                 arrivals_on_over *on_over, void *user, struct arrivals **ret_arrivals, char *error,
                 size_t error_size)
{
    struct arrivals *arrivals = calloc(1, sizeof *arrivals);

    if (arrivals)
        arrivals->upstreams = calloc(services->count, sizeof *arrivals->upstreams);
    if (!arrivals || !arrivals->upstreams) {
        free(arrivals);
        snprintf(error, error_size, "out of memory");
        return -1;
    }
    arrivals->loop = loop;
    arrivals->resolver = resolver;
    arrivals->services = services;
    arrivals->on_over = on_over;
    arrivals->user = user;
    arrivals->reclaim.run = free_dead;
    for (size_t i = 0; i < services->count; i++)
        if (upstream_open(loop, &services->items[i], &arrivals->upstreams[i], error, error_size) <
            0) {
            arrivals_free(arrivals);
            return -1;
        }
    *ret_arrivals = arrivals;
    return 0;
}

void arrivals_free(struct arrivals *arrivals)
{
    if (!arrivals)
        return;
    loop_undefer(arrivals->loop, &arrivals->reclaim);
    free_dead(&arrivals->reclaim);
    for (size_t i = 0; i < arrivals->services->count; i++)
        upstream_close(&arrivals->upstreams[i]);
    free(arrivals->upstreams);
    free(arrivals);
}

unsigned arrivals_count(const struct arrivals *arrivals)
{
    return arrivals->count;
}

const struct service_times *arrivals_times(const struct arrivals *arrivals)
{
    return &arrivals->times;
}
