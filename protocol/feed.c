/* Bytes in: frames, torn in any way (§2), and those held while a token is checked (§4). */
#include "internal.h"

#include <string.h>

static uint8_t frame_type(const struct plex_session *session)
{
    return session->parser.header[4];
}

static uint16_t frame_channel(const struct plex_session *session)
{
    return plex_get16(session->parser.header + 2);
}

bool plex_feed_in_frame(const struct plex_session *session)
{
    return session->parser.have > 0;
}

static void drop_json(struct plex_session *session)
{
    struct plex_parser *parser = &session->parser;
    plex_session_release(session, parser->json, parser->size);
    parser->json = NULL;
}

static void drop_held(struct plex_session *session)
{
    plex_session_release(session, session->held.bytes, session->held.capacity);
    memset(&session->held, 0, sizeof session->held);
}

void plex_feed_drop(struct plex_session *session)
{
    drop_json(session);
    if (PLEX_HAS_SERVER)
        drop_held(session);
    session->parser.have = 0;
    session->held_full = false;
}

/* Holding */

static bool holding(const struct plex_session *session)
{
    return plex_is_server(session) && session->token_pending && !session->authed;
}

static int hold(struct plex_session *session, const void *bytes, size_t size)
{
    struct plex_held *held = &session->held;
    if (held->capacity - held->size < size) {
        uint32_t capacity = held->capacity ? held->capacity : 512;
        while (capacity - held->size < size)
            capacity *= 2;
        if (capacity > PLEX_HELD_BYTES_MAX + PLEX_HELD_SLACK)
            capacity = PLEX_HELD_BYTES_MAX + PLEX_HELD_SLACK;
        uint8_t *larger = plex_session_alloc(session, capacity);
        if (!larger)
            return PLEX_OURS_MEMORY;
        if (held->bytes)
            memcpy(larger, held->bytes, held->size);
        plex_session_release(session, held->bytes, held->capacity);
        held->bytes = larger;
        held->capacity = capacity;
    }
    memcpy(held->bytes + held->size, bytes, size);
    held->size += (uint32_t)size;
    return 0;
}

int plex_feed_hold(struct plex_session *session, const char *text, size_t length)
{
    uint8_t header[PLEX_HEADER_SIZE];
    plex_write_header(header, 0, PLEX_FRAME_JSON, length);
    int r = hold(session, header, sizeof header);
    if (!r)
        r = hold(session, text, length);
    if (++session->held.opens == PLEX_HELD_OPENS_MAX || session->held.size >= PLEX_HELD_BYTES_MAX)
        session->held_full = true;
    return r;
}

int plex_feed_unhold(struct plex_session *session)
{
    struct plex_parser *parser = &session->parser;
    bool whole_header = parser->have == PLEX_HEADER_SIZE;
    int r = 0;
    if (session->held_full)
        session->fresh = true;
    /* A frame that is being held is there as far as it came. Of any other, header and gathered
     * payload follow. */
    if (parser->have && (!whole_header || parser->mode != MODE_HOLD || session->held_full))
        r = hold(session, parser->header, parser->have);
    if (!r && whole_header && parser->mode == MODE_JSON && parser->json)
        r = hold(session, parser->json, (size_t)(parser->size - parser->left));
    session->held_full = false;
    if (r < 0)
        return r;
    drop_json(session);
    parser->have = 0;
    return 0;
}

/* Frames */

static bool ever_opened(const struct plex_session *session, uint16_t id)
{
    bool odd = id & 1, ours = odd == (plex_is_server(session));
    if (ours)
        return session->own_wrapped || id <= session->own_last;
    return id <= session->peer_high;
}

static int begin_on_tunnel(struct plex_session *session)
{
    struct plex_parser *parser = &session->parser;
    if (frame_type(session) == PLEX_FRAME_DATA)
        return PLEX_TUNNEL_CHANNEL;
    parser->mode = frame_type(session) == PLEX_FRAME_JSON ? MODE_JSON : MODE_SMALL;
    return 0;
}

static int begin_held(struct plex_session *session)
{
    struct plex_parser *parser = &session->parser;
    if (session->asked.present)
        return PLEX_TUNNEL_EXTENSION;
    if (!ever_opened(session, frame_channel(session)))
        return PLEX_TUNNEL_CHANNEL;
    parser->mode = MODE_HOLD;
    if (session->held.size + PLEX_HEADER_SIZE + parser->size > PLEX_HELD_BYTES_MAX) {
        session->held_full = true; /* it waits, header read, until the answer */
        return 0;
    }
    return hold(session, parser->header, PLEX_HEADER_SIZE);
}

static int begin_late(struct plex_session *session)
{
    struct plex_parser *parser = &session->parser;
    if (frame_type(session) == PLEX_FRAME_DATA) {
        parser->mode = MODE_LATE;
        return 0;
    }
    parser->mode = MODE_SKIP;
    return plex_flow_late(session, false, PLEX_HEADER_SIZE + (size_t)parser->size);
}

static int begin_on_substream(struct plex_session *session)
{
    struct plex_parser *parser = &session->parser;
    uint16_t id = frame_channel(session);
    if (holding(session))
        return begin_held(session);
    struct plex_substream *substream = plex_table_find(&session->table, id);
    if (substream ? substream->due & DUE_OPEN : !ever_opened(session, id))
        return PLEX_TUNNEL_CHANNEL;
    if (!substream)
        return begin_late(session);
    bool closing = !(substream->marks & (SUB_HOST | SUB_OPENER));
    switch (frame_type(session)) {
    case PLEX_FRAME_DATA:
        parser->mode = MODE_DATA;
        if (plex_flow_on(session) && parser->size > substream->credit_in)
            return PLEX_TUNNEL_CREDIT;
        return 0;
    case PLEX_FRAME_JSON:
        parser->mode = MODE_JSON;
        return closing ? begin_late(session) : 0;
    default:
        parser->mode = MODE_SMALL;
        return 0;
    }
}

/* The header is there. */
static int begin_frame(struct plex_session *session)
{
    struct plex_parser *parser = &session->parser;
    uint8_t type = frame_type(session);
    uint32_t most = session->authed ? session->ours.max_json : PLEX_JSON_BEFORE_AUTH;
    parser->size = parser->left = (uint16_t)(plex_get16(parser->header) - 3);
    int r = plex_frame_check(type, frame_channel(session), parser->size, session->features,
                             session->v1);
    if (r < 0)
        return r;
    if (type == PLEX_FRAME_JSON && parser->size > most)
        return PLEX_TUNNEL_JSON_SIZE;
    if (type >= PLEX_FRAME_SKIPPED) {
        parser->mode = MODE_SKIP;
        return 0;
    }
    return frame_channel(session) ? begin_on_substream(session) : begin_on_tunnel(session);
}

static int small_frame(struct plex_session *session)
{
    const uint8_t *bytes = session->parser.small;
    struct plex_substream *substream = plex_table_find(&session->table, frame_channel(session));
    switch (frame_type(session)) {
    case PLEX_FRAME_PING:
        memcpy(session->pong, bytes, sizeof session->pong);
        session->control |= CONTROL_PONG;
        return 0;
    case PLEX_FRAME_PONG:
        plex_ping_pong(session, bytes);
        return 0;
    case PLEX_FRAME_GOAWAY:
        session->peer_going_away = true;
        if (session->config->callbacks->on_goaway)
            session->config->callbacks->on_goaway(session, plex_get16(bytes));
        return 0;
    case PLEX_FRAME_CREDIT:
        return substream ? plex_flow_credit(substream, plex_get32(bytes)) : 0;
    default: /* PLEX_FRAME_RESET */
        if (substream)
            plex_substream_peer_reset(substream);
        return 0;
    }
}

static int json_frame(struct plex_session *session, const char *text, size_t length)
{
    if (!plex_json_check(text, length))
        return PLEX_TUNNEL_JSON;
    if (!frame_channel(session))
        return plex_message_tunnel(session, text, length);
    struct plex_substream *substream = plex_table_find(&session->table, frame_channel(session));
    return substream ? plex_message_substream(substream, text) : 0;
}

/* Payload of one kind each: `size` bytes, which are the last if the parser has nothing left and is
 * at a frame's beginning again. */

static int take_data(struct plex_session *session, const uint8_t *bytes, size_t size)
{
    struct plex_substream *substream = plex_table_find(&session->table, frame_channel(session));
    if (!substream)
        return plex_flow_late(session, true, size);
    plex_substream_data(substream, bytes, size);
    return 0;
}

static int take_json(struct plex_session *session, const uint8_t *bytes, size_t size)
{
    struct plex_parser *parser = &session->parser;
    if (size == parser->size)
        return json_frame(session, (const char *)bytes, size);
    if (!parser->json) {
        parser->json = plex_session_alloc(session, parser->size);
        if (!parser->json)
            return PLEX_OURS_MEMORY;
    }
    memcpy(parser->json + (parser->size - parser->left - size), bytes, size);
    if (parser->left)
        return 0;
    /* A callback may answer a token, which begins held frames: what is handled here isn't in
     * progress any more. */
    uint8_t *json = parser->json;
    size_t length = parser->size;
    parser->json = NULL;
    int r = json_frame(session, (const char *)json, length);
    plex_session_release(session, json, length);
    return r;
}

static int take_small(struct plex_session *session, const uint8_t *bytes, size_t size)
{
    struct plex_parser *parser = &session->parser;
    memcpy(parser->small + (parser->size - parser->left - size), bytes, size);
    return parser->left ? 0 : small_frame(session);
}

static int take_payload(struct plex_session *session, const uint8_t *bytes, size_t size)
{
    struct plex_parser *parser = &session->parser;
    parser->left -= (uint16_t)size;
    if (!parser->left)
        parser->have = 0;
    switch (parser->mode) {
    case MODE_LATE:
    case MODE_DATA:
        return size ? take_data(session, bytes, size) : 0;
    case MODE_JSON:
        return take_json(session, bytes, size);
    case MODE_SMALL:
        return take_small(session, bytes, size);
    case MODE_HOLD:
        return PLEX_HAS_SERVER ? hold(session, bytes, size) : 0;
    default:
        return 0;
    }
}

/* Of a data frame without flow no more than the buffer takes. */
static size_t payload_piece(const struct plex_session *session, size_t available)
{
    const struct plex_parser *parser = &session->parser;
    size_t size = available < parser->left ? available : parser->left;
    if (PLEX_HAS_BUFFER && parser->mode == MODE_DATA && !plex_flow_on(session)) {
        size_t space = session->config->buffer_limit - session->buffered;
        size = size < space ? size : space;
    }
    return size;
}

static void count(struct plex_session *session, size_t size)
{
    if (!session->authed)
        return;
    session->bytes_in += size;
    session->parser.counted += (uint32_t)size;
}

static int take_header(struct plex_session *session, const uint8_t *bytes, size_t available,
                       size_t *ret_size)
{
    struct plex_parser *parser = &session->parser;
    size_t size = (size_t)PLEX_HEADER_SIZE - parser->have;
    size = available < size ? available : size;
    if (!parser->have)
        parser->counted = 0;
    memcpy(parser->header + parser->have, bytes, size);
    parser->have += (uint8_t)size;
    *ret_size = size;
    count(session, size);
    if (parser->have >= 2 && plex_get16(parser->header) < 3)
        return PLEX_TUNNEL_FRAME_LENGTH;
    if (parser->have < PLEX_HEADER_SIZE)
        return 0;
    int r = begin_frame(session);
    if (r < 0 || parser->left || (PLEX_HAS_SERVER && session->held_full))
        return r;
    return take_payload(session, bytes, 0);
}

static int parse(struct plex_session *session, const uint8_t *bytes, size_t length,
                 size_t *ret_taken)
{
    size_t taken = 0;
    int r = 0;
    /* A token accepted on the way begins what was held before it: that goes first. */
    while (r == 0 && taken < length && plex_session_can_take(session) &&
           !plex_feed_waits(session)) {
        size_t size;
        if (session->parser.have < PLEX_HEADER_SIZE) {
            r = take_header(session, bytes + taken, length - taken, &size);
        } else {
            size = payload_piece(session, length - taken);
            count(session, size);
            r = take_payload(session, bytes + taken, size);
        }
        taken += size;
    }
    *ret_taken = taken;
    return session->error ? session->error : r;
}

int plex_feed_replay(struct plex_session *session)
{
    /* Held frames are ours, whatever callbacks do: the session might die, and drop them. */
    struct plex_held held = session->held;
    size_t taken;
    memset(&session->held, 0, sizeof session->held);
    int r = parse(session, held.bytes + held.replayed, held.size - held.replayed, &taken);
    held.replayed += (uint32_t)taken;
    session->held = held;
    if (r < 0 || held.replayed == held.size)
        drop_held(session);
    return r;
}

int plex_session_feed(struct plex_session *session, const void *bytes, size_t length, uint64_t now,
                      size_t *ret_taken)
{
    size_t taken = 0;
    int r = 0;
    *ret_taken = 0;
    if (session->error) {
        session->told_error = true;
        return session->error;
    }
    if (session->detached)
        return PLEX_OURS_STATE;
    session->depth++;
    plex_session_time(session, now);
    if (length && plex_session_can_take(session))
        session->last_in = session->now;
    if (plex_feed_waits(session))
        r = plex_feed_replay(session);
    while (!r && taken < length && plex_session_can_take(session)) {
        size_t size;
        r = parse(session, (const uint8_t *)bytes + taken, length - taken, &size);
        taken += size;
        if (!r && plex_feed_waits(session))
            r = plex_feed_replay(session);
    }
    if (r < 0)
        r = plex_session_die(session, r);
    session->stopped = !session->error && (taken < length || !plex_session_can_take(session));
    *ret_taken = taken;
    plex_session_leave(session);
    session->told_error = session->error != 0;
    return session->error;
}
