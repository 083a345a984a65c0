/* The HTTP end of a visitor's relay: what is read from the connection goes through the http_visit
 * to the inbound, and back. */
#include <netinet/tcp.h>
#include <string.h>

#include "edge/visitor.h"

/* Of one visitor in a turn, so that the others have theirs. */
#define ROUNDS_MAX 64
/* In one read, while it isn't known yet where the request leads: most heads are shorter. */
#define FIRST_READ 16384
/* Without a limit to idleness. */
#define PATIENCE UINT64_C(75000000)

/* --- The visitor's side --- */

static void flush(struct visitor *visitor)
{
    size_t length;
    const void *bytes = http_visit_visitor_output(visitor->http, &length);
    if (!length || visitor->has_failed)
        return;
    conn_cork(visitor->conn);
    while (length) {
        ssize_t n = conn_write(visitor->conn, bytes, length);
        if (n < 0)
            visitor->has_failed = true;
        if (n <= 0)
            break;
        http_visit_drop_visitor_output(visitor->http, (size_t)n);
        visitor->again = true;
        bytes = http_visit_visitor_output(visitor->http, &length);
    }
    if (conn_uncork(visitor->conn) < 0)
        visitor->has_failed = true;
    visitor->active_at = loop_now(visitor->edge->loop);
}

static void feed(struct visitor *visitor, const void *bytes, size_t length)
{
    enum http_visit_state state = http_visit_state(visitor->http);
    visitor->active_at = loop_now(visitor->edge->loop);
    if (state == HTTP_VISIT_IDLE && visitor->has_answered)
        visitor->request_at = visitor->active_at;
    http_visit_feed_visitor(visitor->http, bytes, length);
}

/* Until the first request is routed, the connection may go to another worker with its bytes. */
static bool keeps_seen(const struct visitor *visitor)
{
    return !visitor->is_tls && !visitor->was_passed && !visitor->has_answered &&
           !visitor->seen_lost && !visitor->was_routed;
}

/* Returns false when there is nothing to read now. */
static bool read_visitor(struct visitor *visitor)
{
    struct edge *edge = visitor->edge;
    if (visitor->visitor_ended || visitor->has_failed || !http_visit_wants_visitor(visitor->http))
        return false;
    size_t room = keeps_seen(visitor) ? FIRST_READ : sizeof edge->scratch;
    ssize_t n = conn_read(visitor->conn, edge->scratch, room);
    if (n == CONN_WAIT) {
        visitor->can_read = false;
        return false;
    }
    if (n == CONN_END) {
        visitor->visitor_ended = visitor->again = true;
        http_visit_visitor_ended(visitor->http);
        return false;
    }
    if (n < 0) {
        visitor->has_failed = visitor->again = true;
        return false;
    }
    if (keeps_seen(visitor) && visitor_see(visitor, edge->scratch, (size_t)n) < 0)
        visitor->seen_lost = true;
    feed(visitor, edge->scratch, (size_t)n);
    return true;
}

/* --- The relay's passive end --- */

static ssize_t read_request(void *end, void *buffer, size_t capacity)
{
    struct visitor *visitor = end;
    for (;;) {
        size_t length;
        const void *bytes = http_visit_service_output(visitor->http, &length);
        if (length) {
            if (length > capacity)
                length = capacity;
            memcpy(buffer, bytes, length);
            http_visit_drop_service_output(visitor->http, length);
            visitor->active_at = loop_now(visitor->edge->loop);
            return (ssize_t)length;
        }
        if (visitor->has_failed)
            return CONN_FAILED;
        if (visitor->service_ended)
            return CONN_END;
        if (visitor->is_stale || visitor->needs_route || !read_visitor(visitor))
            return CONN_WAIT;
    }
}

/* What a service says without being asked is no answer to anything: its connection isn't used for
 * another request. */
static ssize_t write_answer(void *end, const void *bytes, size_t length)
{
    struct visitor *visitor = end;
    if (visitor->is_stale || visitor->needs_route || !visitor->has_exchange) {
        visitor->is_stale = visitor->again = true;
        return (ssize_t)length;
    }
    if (!http_visit_wants_service(visitor->http))
        return CONN_WAIT;
    if (length > sizeof visitor->edge->scratch)
        length = sizeof visitor->edge->scratch;
    http_visit_feed_service(visitor->http, bytes, length);
    flush(visitor);
    return visitor->has_failed ? CONN_FAILED : (ssize_t)length;
}

/* All that the service sent has been passed on, and there is no more. */
static void end_answer(void *end)
{
    struct visitor *visitor = end;
    visitor->is_over = visitor->again = true;
}

static const struct relay_passive_ops passive_ops = {read_request, write_answer, end_answer};

void visitor_http_join(struct visitor *visitor)
{
    visitor->is_joined = true;
    visitor->busy = true;
    relay_join(&visitor->relay, &passive_ops, visitor);
    visitor->busy = false;
}

/* --- Work --- */

/* After an upgrade the http_visit has nothing to do any more but to tell of it at the end. An end
 * that came by the way is passed on here. */
static void go_direct(struct visitor *visitor)
{
    if (!http_visit_is_raw(visitor->http))
        return;
    visitor->is_direct = true;
    visitor->phase = VISITOR_RAW;
    if (visitor->is_over)
        conn_shutdown(visitor->conn);
    visitor->busy = true;
    relay_join(&visitor->relay, &relay_conn_ops, visitor->conn);
    visitor->busy = false;
    visitor_raw_work(visitor);
}

static void settle_state(struct visitor *visitor)
{
    size_t length;
    switch (http_visit_state(visitor->http)) {
    case HTTP_VISIT_RAW:
        go_direct(visitor);
        break;
    case HTTP_VISIT_CLOSING:
        http_visit_visitor_output(visitor->http, &length);
        if (http_visit_is_broken(visitor->http))
            visitor_close(visitor, false, "SERVICE_BROKEN");
        else if (!length)
            visitor_close(visitor, true, "closed");
        break;
    default:
        break;
    }
}

/* What the callbacks have noted. */
static void settle(struct visitor *visitor)
{
    if (visitor->has_failed) {
        visitor_close(visitor, false, "VISITOR_GONE");
        return;
    }
    if (visitor->is_over && http_visit_state(visitor->http) != HTTP_VISIT_RAW)
        visitor_service_over(visitor);
    if (visitor->has_answered && visitor->seen)
        visitor_forget_seen(visitor);
    if (visitor->is_stale)
        visitor_drop_inbound(visitor, true);
    if (visitor->needs_route && visitor->access != VISITOR_ACCESS_PROVING)
        visitor_route_request(visitor);
    if (visitor->phase == VISITOR_HTTP)
        settle_state(visitor);
}

/* Does the inbound pull what the visitor sends? Else it is read here, for the next request. */
static bool is_pulled(const struct visitor *visitor)
{
    return visitor->inbound && visitor->has_exchange && !visitor->is_stale && !visitor->needs_route;
}

static void pass_on(struct visitor *visitor)
{
    visitor->again = false;
    visitor->busy = true;
    if (visitor->holds_body && (visitor->is_connected || !visitor->has_others)) {
        visitor->holds_body = false;
        http_visit_release_body(visitor->http);
    }
    flush(visitor);
    if (visitor->is_joined && visitor->relay.spill.size)
        relay_writable(&visitor->relay);
    if (!is_pulled(visitor) && read_visitor(visitor))
        visitor->again = true;
    visitor->busy = false;
}

/* Is there anything to pull? To be asked for nothing costs the tunnel a round for each piece of an
 * answer. */
static bool has_request(const struct visitor *visitor)
{
    size_t length;
    if (!is_pulled(visitor))
        return false;
    http_visit_service_output(visitor->http, &length);
    return length || visitor->can_read || visitor->service_ended;
}

void visitor_http_work(struct visitor *visitor)
{
    for (int round = 0; round < ROUNDS_MAX; round++) {
        pass_on(visitor);
        settle(visitor);
        if (visitor->phase == VISITOR_OVER)
            return;
        if (visitor->phase != VISITOR_HTTP || !visitor->again)
            break;
    }
    if (visitor->phase == VISITOR_HTTP && visitor->again)
        loop_defer_next(visitor->edge->loop, &visitor->deferred);
    if (visitor->phase == VISITOR_HTTP && has_request(visitor))
        visitor->inbound->ops->ready(visitor->inbound);
    visitor_arm(visitor);
}

void visitor_http_start(struct visitor *visitor)
{
    struct edge *edge = visitor->edge;
    visitor->phase = VISITOR_HTTP;
    visitor->can_read = true;
    visitor->http_options = (struct http_visit_options){
        .head_max = edge->setup.config->head_max,
        .is_tls = visitor->is_tls,
        .cdn_id = *edge->cdn_id ? edge->cdn_id : NULL,
    };
    if (http_visit_new(&visitor->http_options, &visitor_http_callbacks, visitor, &visitor->http) <
        0) {
        visitor_close(visitor, false, "OUT_OF_MEMORY");
        return;
    }
    visitor->request_at = visitor->active_at = loop_now(edge->loop);
    visitor->busy = true;
    if (edge->draining)
        http_visit_drain(visitor->http);
    if (visitor->seen_size)
        feed(visitor, visitor->seen, visitor->seen_size);
    visitor->busy = false;
    visitor_work(visitor);
}

/* --- Time --- */

static uint64_t after(uint64_t start, uint64_t limit)
{
    return limit ? start + limit : UINT64_MAX;
}

/* For a visitor that doesn't read the last of an answer of ours, and between looks for one that has
 * ended. */
static uint64_t patience(const struct edge_config *config)
{
    return config->keepalive ? config->keepalive : PATIENCE;
}

uint64_t visitor_http_deadline(const struct visitor *visitor)
{
    const struct edge_config *config = visitor->edge->setup.config;
    switch (http_visit_state(visitor->http)) {
    case HTTP_VISIT_IDLE:
        if (visitor->has_answered)
            return after(visitor->active_at, config->keepalive);
        return after(visitor->request_at, config->head_timeout);
    case HTTP_VISIT_HEAD:
        return after(visitor->request_at, config->head_timeout);
    case HTTP_VISIT_EXCHANGE:
        if (!visitor->answer_at && config->answer_timeout)
            return visitor->active_at + config->answer_timeout;
        return visitor->has_fin || visitor->visitor_ended ? visitor->active_at + patience(config)
                                                          : UINT64_MAX;
    case HTTP_VISIT_CLOSING:
        return visitor->active_at + patience(config);
    case HTTP_VISIT_ROUTING:
    case HTTP_VISIT_RAW:
        break;
    }
    return UINT64_MAX;
}

/* A visitor that has ended, and waits for the rest of an answer, sends nothing that would be
 * noticed; but when nobody is there any more, keepalive has found it out. */
static void look_for(struct visitor *visitor)
{
    struct tcp_info info;
    socklen_t size = sizeof info;
    visitor->active_at = loop_now(visitor->edge->loop);
    if (getsockopt(conn_fd(visitor->conn), IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
        info.tcpi_state == TCP_CLOSE)
        visitor_close(visitor, false, "VISITOR_GONE");
}

static void refuse_slow_head(struct visitor *visitor)
{
    struct edge *edge = visitor->edge;
    struct http_answer answer;
    page_make(PAGE_SLOW_REQUEST, "", "", &edge->page, &answer);
    answer.closes = true;
    visitor->error = page_code(PAGE_SLOW_REQUEST);
    visitor->active_at = loop_now(edge->loop);
    edge_count(edge, EDGE_COUNT_BAD_REQUESTS, 1);
    visitor->busy = true;
    http_visit_refuse(visitor->http, &answer);
    visitor->busy = false;
    visitor_work(visitor);
}

/* Whose silence is it? The service's, unless the visitor owes it the rest of the request. */
static void answer_silence(struct visitor *visitor)
{
    bool is_visitors = !visitor->can_read && http_visit_awaits_request(visitor->http);
    visitor->needs_route = false;
    visitor_answer(visitor, is_visitors ? PAGE_SLOW_REQUEST : PAGE_SERVICE_SILENT, "");
    visitor_drop_inbound(visitor, false);
    visitor_work(visitor);
}

void visitor_http_late(struct visitor *visitor)
{
    switch (http_visit_state(visitor->http)) {
    case HTTP_VISIT_IDLE:
        visitor_close(visitor, true, "idle");
        break;
    case HTTP_VISIT_HEAD:
        refuse_slow_head(visitor);
        break;
    case HTTP_VISIT_EXCHANGE:
        if (visitor->answer_at)
            look_for(visitor);
        else
            answer_silence(visitor);
        break;
    default:
        visitor_close(visitor, false, "VISITOR_GONE");
        break;
    }
}
