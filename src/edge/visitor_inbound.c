/* The inbound of a visitor: opened with one agent or the next, its callbacks, its end. */
#include <string.h>

#include "edge/visitor.h"
#include "streamplex.h"

/* --- The relay's active end --- */

static void tell_ready(struct relay *relay)
{
    struct visitor *visitor = (struct visitor *)relay;
    if (visitor->inbound)
        visitor->inbound->ops->ready(visitor->inbound);
}

static void tell_consumed(struct relay *relay, size_t length)
{
    struct visitor *visitor = (struct visitor *)relay;
    if (visitor->inbound)
        visitor->inbound->ops->consume(visitor->inbound, length);
}

static void tell_end(struct relay *relay)
{
    struct visitor *visitor = (struct visitor *)relay;
    if (visitor->inbound)
        visitor->inbound->ops->end(visitor->inbound);
}

static const struct relay_active_ops active_ops = {tell_ready, tell_consumed, tell_end};

/* What was gathered is written outside of all that looks at `again`. */
static void note_news(struct visitor *visitor)
{
    visitor->again = true;
    if (!visitor->busy)
        visitor_work_later(visitor);
}

static void on_relay_done(struct relay *relay)
{
    struct visitor *visitor = (struct visitor *)relay;
    visitor->is_done = true;
    note_news(visitor);
}

static void on_relay_failed(struct relay *relay, const char *operation)
{
    struct visitor *visitor = (struct visitor *)relay;
    visitor->has_failed = true;
    note_news(visitor);
}

static const struct relay_owner_ops owner_ops = {on_relay_done, on_relay_failed};

/* --- What the inbound tells --- */

static void on_connected(void *user)
{
    struct visitor *visitor = user;
    visitor->is_connected = true;
    visitor_work(visitor);
}

static void count_bytes(struct visitor *visitor, enum edge_count what, uint64_t *total, size_t n)
{
    if (visitor->phase != VISITOR_RAW)
        return; /* of HTTP the bodies count, and are told at their end */
    *total += n;
    edge_count(visitor->edge, what, (int64_t)n);
}

static void on_data(void *user, const void *bytes, size_t length)
{
    struct visitor *visitor = user;
    visitor->is_connected = true;
    if (visitor->phase == VISITOR_RAW && !visitor->answer_at)
        visitor->answer_at = loop_update_now(visitor->edge->loop);
    count_bytes(visitor, EDGE_COUNT_BYTES_OUT, &visitor->bytes_out, length);
    visitor_note_moved(visitor, length);
    visitor->busy = true;
    relay_push(&visitor->relay, bytes, length);
    visitor->busy = false;
    visitor_work(visitor);
}

static void on_end(void *user)
{
    struct visitor *visitor = user;
    visitor->is_connected = true;
    visitor->busy = true;
    relay_push_end(&visitor->relay);
    visitor->busy = false;
    visitor_work(visitor);
}

static size_t on_pull(void *user, void *buffer, size_t capacity)
{
    struct visitor *visitor = user;
    visitor->again = false;
    visitor->busy = true;
    size_t n = relay_pull(&visitor->relay, buffer, capacity);
    visitor->busy = false;
    count_bytes(visitor, EDGE_COUNT_BYTES_IN, &visitor->bytes_in, n);
    visitor_note_moved(visitor, n);
    /* In a pull an inbound may not be closed. */
    if (visitor->again)
        visitor_work_later(visitor);
    return n;
}

static enum visitor_gone judge_gone(const struct visitor *visitor, const char *code,
                                    const char *message)
{
    if (!code[0] && !message[0])
        return GONE_ORDERLY;
    if (!strcmp(code, "TUNNEL_GONE"))
        return GONE_TUNNEL;
    return visitor->is_connected ? GONE_BROKEN : GONE_REFUSED;
}

/* What came before still goes to a visitor of HTTP, for it may be a whole answer. */
static void on_gone(void *user, const char *code, const char *message)
{
    struct visitor *visitor = user;
    visitor->gone = (uint8_t)judge_gone(visitor, code, message);
    visitor->substream = visitor->inbound->ops->substream(visitor->inbound);
    visitor->inbound->ops->close(visitor->inbound);
    visitor->inbound = NULL;
    if (visitor->gone == GONE_ORDERLY || visitor->phase == VISITOR_HTTP) {
        visitor->busy = true;
        relay_push_end(&visitor->relay);
        visitor->busy = false;
    }
    /* The tunnel may be at writing just now, with its connection corked. */
    visitor_work_later(visitor);
}

static const struct inbound_callbacks inbound_callbacks = {
    .on_connected = on_connected,
    .on_data = on_data,
    .on_end = on_end,
    .on_pull = on_pull,
    .on_gone = on_gone,
};

/* --- Opening --- */

static bool was_tried(const struct visitor *visitor, const struct presence *presence)
{
    for (size_t i = 0; i < visitor->tried_count; i++)
        if (visitor->tried[i] == presence)
            return true;
    return false;
}

void visitor_forget_tries(struct visitor *visitor)
{
    while (visitor->tried_count)
        presence_unref(visitor->tried[--visitor->tried_count]);
}

static const struct directory_entry *find_entry(const struct visitor *visitor)
{
    return directory_find_id(visitor->edge->directory, visitor->facts->id);
}

struct presence *visitor_choose(struct visitor *visitor)
{
    struct presence *chosen = visitor->presence;
    if (chosen && chosen->socket == visitor->facts->id && !was_tried(visitor, chosen))
        return chosen;
    const struct directory_entry *entry = find_entry(visitor);
    if (!entry || visitor->tried_count == VISITOR_TRIES)
        return NULL;
    chosen = directory_pick(visitor->edge->directory, entry, visitor->tried, visitor->tried_count);
    if (!chosen)
        return NULL;
    presence_ref(chosen);
    presence_unref(visitor->presence);
    visitor->presence = chosen;
    return chosen;
}

static void note_routed(struct visitor *visitor)
{
    struct edge *edge = visitor->edge;
    if (visitor->was_routed)
        return;
    visitor->was_routed = true;
    edge->host.report(edge->host.user, &visitor->peer, EDGE_VISITOR_ROUTED);
}

static bool open_with(struct visitor *visitor, struct presence *presence)
{
    struct edge *edge = visitor->edge;
    const struct inbound_host *host = &edge->host.inbound;
    char text[ADDRESS_TEXT_MAX];
    address_format(&visitor->visitor, text);
    text[PLEX_VISITOR_MAX] = '\0';
    if (host->open(host->user, presence, text, &inbound_callbacks, visitor, &visitor->inbound) < 0)
        return false;
    if (presence->ref.worker != host->worker)
        edge_count(edge, EDGE_COUNT_LINKS, 1);
    visitor->inbound_socket = visitor->facts->id;
    visitor->forwarded_at = loop_update_now(edge->loop);
    visitor->answer_at = 0;
    relay_init(&visitor->relay, &active_ops, &owner_ops);
    note_routed(visitor);
    return true;
}

bool visitor_open(struct visitor *visitor)
{
    struct presence *presence;
    while ((presence = visitor_choose(visitor)) && visitor->tried_count < VISITOR_TRIES) {
        visitor->tried[visitor->tried_count++] = presence_ref(presence);
        if (!open_with(visitor, presence))
            continue;
        const struct directory_entry *entry = find_entry(visitor);
        visitor->has_others = entry && directory_presences(entry) > visitor->tried_count;
        return true;
    }
    return false;
}

/* --- The end --- */

static void end_in_order(struct visitor *visitor, struct inbound *inbound)
{
    if (visitor->relay.spill.size)
        inbound->ops->consume(inbound, visitor->relay.spill.size);
    if (!visitor->relay.pull_ended)
        inbound->ops->end(inbound);
    if (visitor->relay.push_ended)
        inbound->ops->close(inbound);
    else
        leavers_take(&visitor->edge->leavers, inbound);
}

void visitor_drop_inbound(struct visitor *visitor, bool orderly)
{
    struct inbound *inbound = visitor->inbound;
    if (orderly)
        relay_flush(&visitor->relay);
    visitor->inbound = NULL;
    visitor_tell_moved(visitor);
    if (inbound) {
        visitor->substream = inbound->ops->substream(inbound);
        if (orderly)
            end_in_order(visitor, inbound);
        else
            inbound->ops->abort(inbound);
    }
    relay_deinit(&visitor->relay);
    visitor->gone = GONE_NOT;
    visitor->is_connected = visitor->is_reused = visitor->has_others = false;
    visitor->is_joined = visitor->is_stale = visitor->is_over = visitor->is_done = false;
    visitor->service_ended = false;
}
