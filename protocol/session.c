/* A session's life and deadlines. */
#include "internal.h"

#include <string.h>

void *plex_session_alloc(const struct plex_session *session, size_t size)
{
    const struct plex_allocator *allocator = session->config->allocator;
    return allocator->alloc(allocator->user, size);
}

void plex_session_release(const struct plex_session *session, void *memory, size_t size)
{
    const struct plex_allocator *allocator = session->config->allocator;
    if (memory)
        allocator->free(allocator->user, memory, size);
}

void plex_config_init(struct plex_config *config, enum plex_side side)
{
    memset(config, 0, sizeof *config);
    config->side = side;
    config->features = PLEX_FEATURES_ALL;
    config->window = 65536;
    config->window_max = PLEX_WINDOW_MAX;
    config->credit_limit = 16u << 20;
    config->max_json = 16384;
    config->max_substreams = 1024;
    config->buffer_limit = 1u << 20;
    config->stall_bytes = 65536;
    config->stall_time = 10 * PLEX_SECOND;
    config->auth_timeout = 20 * PLEX_SECOND;
    config->frame_timeout = 30 * PLEX_SECOND;
}

static bool good(const struct plex_config *config)
{
    return config->callbacks && config->allocator && (PLEX_HAS_SERVER || config->side) &&
           config->side <= PLEX_DEVICE && config->features <= PLEX_FEATURES_ALL &&
           config->window >= PLEX_WINDOW_MIN && config->window_max >= config->window &&
           config->window_max <= PLEX_WINDOW_MAX && config->max_json >= 1024 &&
           config->max_json <= PLEX_PAYLOAD_MAX && config->max_substreams >= 1 &&
           config->max_substreams <= 32767 && config->buffer_limit >= 1;
}

struct plex_session *plex_session_new(const struct plex_config *config, void *user, uint64_t now)
{
    if (!good(config))
        return NULL;
    struct plex_session *session =
        config->allocator->alloc(config->allocator->user, sizeof(struct plex_session));
    if (!session)
        return NULL;
    memset(session, 0, sizeof *session);
    session->config = config;
    session->user = user;
    session->now = session->begun = session->last_in = session->emptied = now;
    session->peer_max = 32768;
    return session;
}

void *plex_session_user(const struct plex_session *session)
{
    return session->user;
}

void plex_session_configure(struct plex_session *session, const struct plex_config *config)
{
    if (!good(config) || config->side != session->config->side)
        return;
    plex_flow_move_budget(session, config->budget);
    session->config = config;
    plex_flow_fill(session);
    plex_flow_drain(session);
    plex_session_settle(session);
}

void plex_session_time(struct plex_session *session, uint64_t now)
{
    if (now > session->now)
        session->now = now;
    if (session->fresh)
        session->last_in = session->now;
    session->fresh = false;
}

static void free_over(struct plex_session *session)
{
    struct plex_substream *substream;
    while ((substream = session->over)) {
        session->over = substream->link[LIST_READY].next;
        plex_session_release(session, substream, sizeof *substream);
    }
}

/* One thing that is due to the host. True when there was one, as it may lead to another. */
static bool tell(struct plex_session *session)
{
    const struct plex_callbacks *callbacks = session->config->callbacks;
    if (session->freeing)
        return false;
    if (plex_feed_waits(session)) {
        int r = plex_feed_replay(session);
        if (r < 0)
            plex_session_die(session, r);
        return true;
    }
    if (session->stopped && plex_session_can_take(session)) {
        session->stopped = false;
        callbacks->on_resume(session);
        return true;
    }
    if (!session->told_output && plex_session_has_output(session)) {
        session->told_output = true;
        callbacks->on_output(session);
        return true;
    }
    return false;
}

void plex_session_settle(struct plex_session *session)
{
    if (session->depth)
        return;
    session->depth++;
    while (tell(session))
        ;
    free_over(session);
    session->depth--;
}

void plex_session_leave(struct plex_session *session)
{
    session->depth--;
    plex_session_settle(session);
}

/* Every substream goes; their hosts' callbacks may end others meanwhile. */
static void lose_all(struct plex_session *session)
{
    struct plex_substream *substream;
    uint32_t cursor = 0;
    while ((substream = plex_table_any(&session->table, &cursor))) {
        plex_substream_over(substream);
        plex_substream_lose(substream, PLEX_SUBSTREAM_TUNNEL_GONE);
    }
}

int plex_session_die(struct plex_session *session, int error)
{
    if (session->error)
        return session->error;
    session->error = (int16_t)error;
    /* Of what was to be sent only answers to tokens stay, and a token's frame that was begun. */
    session->control &= CONTROL_REFUSED | CONTROL_ACCEPTED | CONTROL_TOKEN;
    if (!session->token_pulled)
        session->control &= (uint8_t)~CONTROL_TOKEN;
    session->control |= CONTROL_ERROR;
    plex_feed_drop(session);
    lose_all(session);
    return error;
}

void plex_session_fail(struct plex_session *session, int error)
{
    if (error >= 0)
        return;
    session->depth++;
    session->told_error = true;
    plex_session_die(session, error);
    plex_session_leave(session);
}

void plex_session_free(struct plex_session *session)
{
    if (!session)
        return;
    session->depth++;
    session->freeing = true;
    plex_session_die(session, PLEX_SUBSTREAM_TUNNEL_GONE);
    plex_session_leave(session);
    plex_session_release(session, session->token, PLEX_TOKEN_FRAME);
    plex_session_release(session, session, sizeof *session);
}

void plex_session_pause(struct plex_session *session)
{
    session->paused = true;
}

void plex_session_resume(struct plex_session *session)
{
    if (session->paused)
        session->fresh = true;
    session->paused = false;
    /* Who calls this knows that bytes may be fed again. */
    if (plex_session_can_take(session))
        session->stopped = false;
    plex_session_settle(session);
}

bool plex_session_can_take(const struct plex_session *session)
{
    return !session->paused && !plex_is_full(session) && !(PLEX_HAS_SERVER && session->held_full) &&
           !session->error && !session->detached && session->refusals < PLEX_REFUSALS_MAX;
}

bool plex_session_is_authed(const struct plex_session *session)
{
    return session->authed;
}

uint32_t plex_session_features(const struct plex_session *session)
{
    return session->features;
}

void plex_session_goaway(struct plex_session *session, uint16_t code)
{
    session->going_away = true;
    session->goaway_code = code;
    if (session->features & PLEX_GOAWAY)
        session->control |= CONTROL_GOAWAY;
    plex_session_settle(session);
}

void plex_session_message_ready(struct plex_session *session)
{
    if (!PLEX_HAS_MESSAGES || !(session->features & PLEX_INBOUND_OPENS) || session->error ||
        !session->config->callbacks->on_message_pull)
        return;
    session->control |= CONTROL_MESSAGE;
    plex_session_settle(session);
}

void plex_session_detach(struct plex_session *session)
{
    session->detached = true;
}

void plex_session_attach(struct plex_session *session, uint64_t now)
{
    session->fresh = true;
    session->detached = false;
    plex_session_time(session, now);
    session->begun = session->emptied = session->stall_start = session->now;
    /* Another connection, other round trips: a ping that was under way says nothing about them. */
    session->ping_out = session->told_output = session->stopped = false;
    session->rtt[0] = session->rtt[1] = 0;
    session->answered = 0;
    plex_session_settle(session);
}

void plex_session_stats(const struct plex_session *session, struct plex_stats *ret_stats)
{
    memset(ret_stats, 0, sizeof *ret_stats);
    ret_stats->bytes_in = session->bytes_in;
    ret_stats->bytes_out = session->bytes_out;
    ret_stats->buffered = session->buffered;
    if (plex_flow_on(session))
        ret_stats->credit_outstanding = session->committed - session->buffered;
    ret_stats->substreams = session->table.count;
    ret_stats->rtt_min = plex_ping_rtt(session);
    ret_stats->stalls = session->stalls;
}

/* Deadlines */

/* What a deadline means, if not an error. */
enum { ALIVE, STALL, PING, LATE };

struct deadline {
    uint64_t time;
    int meaning;
};

static void consider(struct deadline *first, uint64_t since, uint64_t time, int meaning)
{
    uint64_t at = since + time;
    if (at > since && at < first->time) {
        first->time = at;
        first->meaning = meaning;
    }
}

static uint64_t later(uint64_t one, uint64_t other)
{
    return one > other ? one : other;
}

static struct deadline next_deadline(const struct plex_session *session)
{
    const struct plex_config *config = session->config;
    struct deadline first = {UINT64_MAX, ALIVE};
    uint64_t last_in = session->last_in;
    if (session->error || session->detached)
        return first;
    if (!session->authed)
        consider(&first, session->begun, config->auth_timeout, PLEX_TUNNEL_AUTH_TIMEOUT);
    if (PLEX_HAS_BUFFER && session->full)
        consider(&first, session->stall_start, config->stall_time, STALL);
    if (PLEX_HAS_BUFFER && session->late_full)
        consider(&first, session->late_start, PLEX_SECOND, LATE);
    /* The rest is about what doesn't come, which is no fault of theirs while we take nothing. */
    if (!plex_session_can_take(session))
        return first;
    if (plex_feed_in_frame(session))
        consider(&first, last_in, config->frame_timeout, PLEX_TUNNEL_FRAME_TIMEOUT);
    if (!session->table.count)
        consider(&first, later(last_in, session->emptied), config->idle_timeout, PLEX_TUNNEL_IDLE);
    if (session->ping_out) /* any byte is as good a sign of life as the pong */
        consider(&first, later(last_in, session->ping_sent), config->ping_timeout,
                 PLEX_TUNNEL_PING_TIMEOUT);
    else if (session->features & PLEX_PING && !(session->control & CONTROL_PING))
        consider(&first, last_in, config->ping_interval, PING);
    return first;
}

uint64_t plex_session_deadline(const struct plex_session *session)
{
    return session->error && !session->told_error ? 0 : next_deadline(session).time;
}

int plex_session_tick(struct plex_session *session, uint64_t now)
{
    session->depth++;
    plex_session_time(session, now);
    for (;;) {
        struct deadline due = next_deadline(session);
        if (due.time > session->now)
            break;
        if (PLEX_HAS_BUFFER && due.meaning == STALL)
            plex_flow_stall(session);
        else if (PLEX_HAS_BUFFER && due.meaning == LATE)
            plex_flow_late_over(session);
        else if (due.meaning == PING)
            plex_ping_request(session);
        else
            plex_session_die(session, due.meaning);
    }
    plex_session_leave(session);
    session->told_error = session->error != 0;
    return session->error;
}
