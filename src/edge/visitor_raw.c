/* Bytes as they are, between a connection and its inbound: tcp, tls, passthrough, and HTTP after an
 * upgrade. */
#include "edge/visitor.h"

static void join(struct visitor *visitor)
{
    visitor->is_joined = true;
    visitor->relay.gathers = true;
    visitor->busy = true;
    relay_join(&visitor->relay, &relay_conn_ops, visitor->conn);
    visitor->busy = false;
}

/* With one agent alone, the visitor's bytes go on at once; else they stay in the socket until a
 * service has taken the connection, so that the next agent gets them all. */
static bool try_open(struct visitor *visitor)
{
    if (!visitor_open(visitor))
        return false;
    if (!visitor->has_others)
        join(visitor);
    return true;
}

void visitor_raw_start(struct visitor *visitor)
{
    struct edge *edge = visitor->edge;
    visitor->phase = VISITOR_RAW;
    visitor->request_at = visitor->accepted_at;
    edge_count(edge, EDGE_COUNT_VISITS, 1);
    if (!visitor_admit_connection(visitor))
        return;
    if (!try_open(visitor)) {
        edge_count(edge, EDGE_COUNT_NO_AGENT, 1);
        visitor_close(visitor, false, page_code(PAGE_NO_AGENT));
        return;
    }
    visitor_work(visitor);
}

static void try_next(struct visitor *visitor, enum page page, enum edge_count what)
{
    struct edge *edge = visitor->edge;
    edge_count(edge, what, 1);
    visitor_drop_inbound(visitor, false);
    if (!visitor_choose(visitor) || !try_open(visitor)) {
        visitor_close(visitor, false, page_code(page));
        return;
    }
    edge_count(edge, EDGE_COUNT_RETRIES, 1);
    visitor_arm(visitor);
}

static enum page page_of(enum visitor_gone gone)
{
    if (gone == GONE_REFUSED)
        return PAGE_SERVICE_REFUSED;
    return gone == GONE_TUNNEL ? PAGE_TUNNEL_GONE : PAGE_SERVICE_BROKEN;
}

static void handle_gone(struct visitor *visitor)
{
    enum visitor_gone gone = (enum visitor_gone)visitor->gone;
    if (!visitor->is_joined)
        try_next(visitor, page_of(gone), EDGE_COUNT_SERVICE_REFUSED);
    else if (gone != GONE_ORDERLY) {
        edge_count(visitor->edge,
                   visitor->is_connected ? EDGE_COUNT_SERVICE_BROKEN : EDGE_COUNT_SERVICE_REFUSED,
                   1);
        visitor_close(visitor, false, page_code(page_of(gone)));
    } else if (visitor->relay.shut_down) {
        visitor->is_done = true;
        visitor_close(visitor, true, "closed");
    }
}

void visitor_raw_work(struct visitor *visitor)
{
    if (visitor->is_connected && !visitor->is_joined && visitor->gone == GONE_NOT)
        join(visitor);
    if (visitor->has_failed)
        visitor_close(visitor, false, "VISITOR_GONE");
    else if (visitor->is_done)
        visitor_close(visitor, true, "closed");
    else if (visitor->gone != GONE_NOT)
        handle_gone(visitor);
    if (visitor->phase == VISITOR_RAW)
        visitor_arm(visitor);
}

/* What the agent can't say in this time it won't say at all. */
uint64_t visitor_raw_deadline(const struct visitor *visitor)
{
    uint64_t limit = visitor->edge->setup.config->answer_timeout;
    if (!limit || visitor->is_connected || visitor->http)
        return UINT64_MAX;
    return visitor->forwarded_at + limit;
}

void visitor_raw_late(struct visitor *visitor)
{
    if (!visitor->is_joined) {
        try_next(visitor, PAGE_SERVICE_SILENT, EDGE_COUNT_SERVICE_SILENT);
        return;
    }
    edge_count(visitor->edge, EDGE_COUNT_SERVICE_SILENT, 1);
    visitor_close(visitor, false, page_code(PAGE_SERVICE_SILENT));
}
