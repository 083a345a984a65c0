/* What is told of a visit: to the access log, and to the agent whose service it was. */
#include <stdio.h>
#include <time.h>

#include "edge/access_log.h"
#include "edge/visit_record.h"
#include "edge/visitor.h"

static uint64_t wall_milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* The socket as its visitors know it. */
static const char *name_socket(const struct socket_facts *facts, char *buffer, size_t size)
{
    if (!facts)
        return "";
    if (socket_type_has_host(facts->type))
        return facts->hostname;
    snprintf(buffer, size, "%s:%u", facts->hostname, facts->port);
    return buffer;
}

static void fill(const struct visitor *visitor, struct visit_record *record)
{
    uint64_t now = loop_update_now(visitor->edge->loop);
    record->total = now > visitor->request_at ? now - visitor->request_at : 0;
    record->time = wall_milliseconds() - record->total / 1000;
    if (visitor->forwarded_at && visitor->answer_at > visitor->forwarded_at)
        record->answer = visitor->answer_at - visitor->forwarded_at;
    record->substream =
        visitor->inbound ? visitor->inbound->ops->substream(visitor->inbound) : visitor->substream;
}

static void write_record(struct visitor *visitor, struct visit_record *record)
{
    struct edge *edge = visitor->edge;
    const struct socket_facts *facts = visitor->facts;
    struct presence *presence = visitor->forwarded_at ? visitor->presence : NULL;
    char address[ADDRESS_TEXT_MAX], socket[REGISTRY_HOST_MAX + 8], text[VISIT_LINE_MAX];
    fill(visitor, record);
    record->visitor = address_format_host(&visitor->visitor, address);
    record->socket = name_socket(facts, socket, sizeof socket);
    record->owner = facts ? facts->owner : "";
    record->service = presence ? presence->service : "";
    record->error = visitor->error ? visitor->error : "";
    access_log_write(edge->setup.config->access_log, record);
    if (!presence)
        return;
    size_t length = visit_record_message(record, text);
    edge->host.inbound.tell_visit(edge->host.inbound.user, presence, text, length);
}

/* The http_visit answers some requests itself; what it found wrong is in the status alone. */
static void judge(struct visitor *visitor, const struct http_record *record)
{
    if (visitor->error || !record->is_own || record->status < 400)
        return;
    visitor->error = page_code(page_of_status(record->status));
    edge_count(visitor->edge,
               record->status == 502 ? EDGE_COUNT_SERVICE_BROKEN : EDGE_COUNT_BAD_REQUESTS, 1);
}

void visitor_record_request(struct visitor *visitor, const struct http_record *http)
{
    struct edge *edge = visitor->edge;
    struct visit_record record = {
        .type = visitor->is_tls ? "https" : "http",
        .method = http->method,
        .target = http->target,
        .version = http->version,
        .referer = http->referer,
        .user_agent = http->user_agent,
        .status = http->status,
        .bytes_in = http->bytes_in,
        .bytes_out = http->bytes_out,
    };
    judge(visitor, http);
    if (!http->is_own && !visitor->answer_at)
        record.status = 0;
    edge_count(edge, EDGE_COUNT_VISITS, 1);
    /* raw ones were counted when they passed */
    edge_count(edge, EDGE_COUNT_BYTES_IN, (int64_t)(http->bytes_in - visitor->bytes_in));
    edge_count(edge, EDGE_COUNT_BYTES_OUT, (int64_t)(http->bytes_out - visitor->bytes_out));
    write_record(visitor, &record);
}

void visitor_record_connection(struct visitor *visitor, int status)
{
    struct visit_record record = {
        .type = socket_type_name(visitor->facts->type),
        .method = "",
        .target = "",
        .version = "",
        .referer = "",
        .user_agent = "",
        .status = status,
        .bytes_in = visitor->bytes_in,
        .bytes_out = visitor->bytes_out,
    };
    write_record(visitor, &record);
}
