/* A visitor's life: what its connection tells, its deadlines, and the one door out. */
#include "edge/visitor.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

_Static_assert(sizeof(struct visitor) < 1024, "an idle visitor is cheap");

static const struct edge_config *config_of(const struct visitor *visitor)
{
    return visitor->edge->setup.config;
}

/* --- Deadlines --- */

static uint64_t deadline(const struct visitor *visitor)
{
    const struct edge_config *config = config_of(visitor);
    uint64_t limit = config->handshake_timeout;
    switch ((enum visitor_phase)visitor->phase) {
    case VISITOR_PROXY:
        if (visitor->entry == EDGE_HTTP)
            limit = config->head_timeout;
        /* fall through */
    case VISITOR_HELLO:
    case VISITOR_HANDSHAKE:
        return limit ? visitor->accepted_at + limit : UINT64_MAX;
    case VISITOR_HTTP:
        return visitor_http_deadline(visitor);
    case VISITOR_RAW:
        return visitor_raw_deadline(visitor);
    case VISITOR_OVER:
        break;
    }
    return UINT64_MAX;
}

/* Deadlines move away all the time; the timer finds that out when it runs. */
void visitor_arm(struct visitor *visitor)
{
    uint64_t when = deadline(visitor);
    if (when < visitor->timer.when || !timer_is_running(&visitor->timer))
        timer_start(&visitor->timer, when);
}

static void handle_late(struct visitor *visitor)
{
    switch ((enum visitor_phase)visitor->phase) {
    case VISITOR_PROXY:
        if (visitor->entry == EDGE_PORT && !visitor->seen_size)
            visitor_skip_proxy(visitor);
        else
            visitor_close(visitor, false, "REQUEST_TIMEOUT");
        break;
    case VISITOR_HELLO:
    case VISITOR_HANDSHAKE:
        edge_count(visitor->edge, EDGE_COUNT_HANDSHAKES_FAILED, 1);
        visitor_close(visitor, false, "HANDSHAKE_TIMEOUT");
        break;
    case VISITOR_HTTP:
        visitor_http_late(visitor);
        break;
    case VISITOR_RAW:
        visitor_raw_late(visitor);
        break;
    case VISITOR_OVER:
        break;
    }
}

static void on_timer(struct timer *timer)
{
    struct visitor *visitor =
        (struct visitor *)(void *)((char *)timer - offsetof(struct visitor, timer));
    if (loop_now(visitor->edge->loop) >= deadline(visitor))
        handle_late(visitor);
    if (visitor->phase != VISITOR_OVER)
        visitor_arm(visitor);
}

/* --- Work --- */

void visitor_work(struct visitor *visitor)
{
    if (visitor->busy) {
        visitor->again = true;
        return;
    }
    if (visitor->closing)
        visitor_close(visitor, visitor->closes_orderly, visitor->reason);
    else if (visitor->phase == VISITOR_HTTP)
        visitor_http_work(visitor);
    else if (visitor->phase == VISITOR_RAW)
        visitor_raw_work(visitor);
}

static void run_later(struct loop_deferred *deferred)
{
    visitor_work((struct visitor *)(void *)((char *)deferred - offsetof(struct visitor, deferred)));
}

void visitor_work_later(struct visitor *visitor)
{
    loop_defer(visitor->edge->loop, &visitor->deferred);
}

/* --- The connection --- */

static void on_ready(struct conn *conn)
{
    struct visitor *visitor = conn_user(conn);
    edge_count(visitor->edge, EDGE_COUNT_HANDSHAKES, 1);
    if (visitor->entry == EDGE_PORT)
        visitor_raw_start(visitor);
    else
        visitor_http_start(visitor);
}

static void on_readable(struct conn *conn)
{
    struct visitor *visitor = conn_user(conn);
    if (visitor->phase == VISITOR_PROXY || visitor->phase == VISITOR_HELLO) {
        visitor_first_bytes(visitor);
        return;
    }
    visitor->can_read = true;
    if (visitor->phase == VISITOR_RAW && visitor->is_joined)
        relay_readable(&visitor->relay);
    visitor_work(visitor);
}

static void on_writable(struct conn *conn)
{
    struct visitor *visitor = conn_user(conn);
    if (visitor->phase == VISITOR_RAW && visitor->is_joined) {
        visitor->busy = true;
        relay_writable(&visitor->relay);
        visitor->busy = false;
    }
    visitor_work(visitor);
}

/* A FIN isn't the end: the visitor may still wait for what it asked for. */
static void on_hangup(struct conn *conn)
{
    struct visitor *visitor = conn_user(conn);
    if (conn_error(conn)) {
        visitor_close(visitor, false, "VISITOR_GONE");
        return;
    }
    visitor->has_fin = true;
    visitor_arm(visitor);
}

static void on_failed(struct conn *conn)
{
    struct visitor *visitor = conn_user(conn);
    if (visitor->phase != VISITOR_HANDSHAKE) {
        visitor_close(visitor, false, "VISITOR_GONE");
        return;
    }
    edge_count(visitor->edge, EDGE_COUNT_HANDSHAKES_FAILED, 1);
    visitor_close(visitor, true, "HANDSHAKE_FAILED"); /* an alert may be on its way */
}

static const struct conn_callbacks conn_callbacks = {
    .on_ready = on_ready,
    .on_readable = on_readable,
    .on_writable = on_writable,
    .on_hangup = on_hangup,
    .on_failed = on_failed,
};

int visitor_attach(struct visitor *visitor, int fd, const void *left, size_t left_size)
{
    if (conn_attach(visitor->edge->loop, fd, left, left_size, &conn_callbacks, visitor,
                    &visitor->conn) == 0)
        return 0;
    close(fd);
    visitor->conn = NULL;
    return -1;
}

void visitor_start_tls(struct visitor *visitor)
{
    visitor->phase = VISITOR_HANDSHAKE;
    visitor->is_tls = true;
    if (!visitor->edge->setup.tls ||
        conn_start_tls_server(visitor->conn, visitor->edge->setup.tls) < 0) {
        visitor_close(visitor, false, "NO_TLS");
        return;
    }
    if (visitor_require_certificate(visitor))
        visitor_arm(visitor);
}

/* --- Life --- */

static void report(const struct edge *edge, const union address *peer, enum edge_event event)
{
    edge->host.report(edge->host.user, peer, event);
}

static struct visitor *make(struct edge *edge, struct edge_passed *passed)
{
    struct visitor *visitor = calloc(1, sizeof *visitor);
    if (!visitor)
        return NULL;
    visitor->edge = edge;
    visitor->peer = address_unmap(&passed->peer);
    visitor->visitor = address_unmap(&passed->visitor);
    visitor->entry = (uint8_t)passed->entry;
    visitor->has_proxy_header = passed->has_proxy_header;
    visitor->is_trusted = edge_trusts(edge->setup.config, &visitor->peer);
    visitor->accepted_at = passed->accepted_at;
    visitor->presence = passed->presence;
    visitor->was_passed = passed->presence != NULL;
    passed->presence = NULL;
    visitor->deferred.run = run_later;
    timer_init(&visitor->timer, edge->loop, on_timer);
    relay_deinit(&visitor->relay); /* until there is an inbound, nothing passes */
    return visitor;
}

void visitor_new(struct edge *edge, struct edge_passed *passed)
{
    union address peer = address_unmap(&passed->peer);
    struct visitor *visitor = make(edge, passed);
    int fd = passed->fd;
    if (visitor) {
        passed->fd = -1;
        if (visitor_attach(visitor, fd, passed->left, passed->left_size) == 0) {
            edge_add(edge, visitor);
            edge_passed_free(passed);
            visitor_begin(visitor);
            return;
        }
        visitor_free(visitor);
    }
    edge_passed_free(passed);
    report(edge, &peer, EDGE_VISITOR_GONE_UNROUTED);
}

void visitor_free(struct visitor *visitor)
{
    visitor_forget_tries(visitor);
    visitor_forget_credentials(visitor);
    socket_facts_unref(visitor->certified);
    free(visitor->subject);
    presence_unref(visitor->presence);
    socket_facts_unref(visitor->facts);
    free(visitor->seen);
    free(visitor->accept);
    free(visitor);
}

void visitor_forget(struct visitor *visitor)
{
    visitor->phase = VISITOR_OVER;
    proof_abandon(visitor);
    visitor_leave_place(visitor);
    timer_stop(&visitor->timer);
    loop_undefer(visitor->edge->loop, &visitor->deferred);
    relay_deinit(&visitor->relay);
    http_visit_free(visitor->http);
    visitor->http = NULL;
    visitor->conn = NULL;
    edge_remove(visitor->edge, visitor);
}

/* --- The door out --- */

/* A request whose end nobody will see any more still has its record. */
static void end_exchange(struct visitor *visitor)
{
    visitor->busy = true;
    if (visitor->is_direct)
        http_visit_count_raw(visitor->http, visitor->bytes_in, visitor->bytes_out);
    if (visitor->is_done) {
        http_visit_visitor_ended(visitor->http);
        http_visit_service_ended(visitor->http);
    } else {
        http_visit_abort(visitor->http);
    }
    visitor->busy = false;
}

static void write_log(const struct visitor *visitor, const char *reason)
{
    char address[ADDRESS_TEXT_MAX];
    if (!log_is_on(LOG_DEBUG))
        return;
    log_write(LOG_DEBUG,
              LOG_FIELDS(LOG_TEXT("visitor", address_format(&visitor->visitor, address)),
                         LOG_TEXT("socket", visitor->facts ? visitor->facts->hostname : "-"),
                         LOG_NUMBER("duration_ms",
                                    (loop_now(visitor->edge->loop) - visitor->accepted_at) / 1000),
                         LOG_TEXT("reason", reason)),
              "visitor closed");
}

void visitor_close(struct visitor *visitor, bool orderly, const char *reason)
{
    if (visitor->phase == VISITOR_OVER)
        return;
    if (visitor->busy) {
        if (!visitor->closing) {
            visitor->closing = true;
            visitor->closes_orderly = orderly;
            visitor->reason = reason;
        }
        visitor_work_later(visitor);
        return;
    }
    if (!orderly && !visitor->error)
        visitor->error = reason;
    bool is_whole = orderly && !visitor->has_exchange;
    if (visitor->http && visitor->has_exchange)
        end_exchange(visitor);
    else if (!visitor->http && visitor->phase == VISITOR_RAW)
        visitor_record_connection(visitor, visitor->is_connected || visitor->answer_at ? 200 : 502);
    write_log(visitor, reason);
    visitor_drop_inbound(visitor, is_whole || visitor->is_done);
    if (orderly)
        conn_close(visitor->conn);
    else
        conn_abort(visitor->conn);
    report(visitor->edge, &visitor->peer,
           visitor->was_routed ? EDGE_VISITOR_GONE_ROUTED : EDGE_VISITOR_GONE_UNROUTED);
    visitor_forget(visitor);
}
