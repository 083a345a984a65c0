/* Bytes out: channel 0 first, then credit and resets, then one frame of each substream in turn. */
#include "internal.h"

/* A data frame isn't begun in less room than this behind others: the next pull has more. */
#define LEAST_ROOM 512

bool plex_session_has_output(const struct plex_session *session)
{
    if (session->detached)
        return false;
    if (session->control)
        return true;
    return !session->error &&
           (session->lists[LIST_URGENT].first || session->lists[LIST_READY].first);
}

static void write_number_frame(struct plex_writer *writer, uint16_t channel, uint8_t type,
                               uint16_t number)
{
    uint8_t payload[2];
    plex_put16(payload, number);
    plex_write_frame(writer, channel, type, payload, sizeof payload);
}

/* Returns how many bytes don't count (§9). */
static size_t pull_control(struct plex_session *session, struct plex_writer *writer)
{
    plex_auth_write(session, writer);
    size_t uncounted = (size_t)(writer->at - writer->start);
    if (writer->full)
        return uncounted;
    plex_ping_write(session, writer);
    if (session->control & CONTROL_GOAWAY) {
        write_number_frame(writer, 0, PLEX_FRAME_GOAWAY, session->goaway_code);
        session->control &= (uint8_t)~CONTROL_GOAWAY;
    }
    if (PLEX_HAS_MESSAGES && session->control & CONTROL_MESSAGE)
        plex_message_write(session, writer);
    /* Last: the host may have ended the session just now. */
    if (session->control & CONTROL_ERROR) {
        plex_compose_frame(writer, session, NULL, 0, "$oerror\":$x}}");
        session->control &= (uint8_t)~CONTROL_ERROR;
    }
    return uncounted;
}

/* Writes those of `events` that are due, in order. False when one didn't fit: it stays due. */
static bool write_due(struct plex_substream *substream, uint16_t events, struct plex_writer *writer)
{
    while ((events &= substream->due)) {
        uint16_t event = events & (uint16_t)-events;
        uint8_t *mark = writer->at;
        plex_compose_event(writer, substream, event);
        if (writer->full) {
            plex_write_undo(writer, mark);
            return false;
        }
        substream->due &= (uint16_t)~event;
        if (event == DUE_END)
            substream->marks |= SUB_END_SENT;
    }
    return true;
}

/* Credit, or an abort: error and reset together or not at all, after what was told before. */
static bool pull_urgent(struct plex_substream *substream, struct plex_writer *writer)
{
    if (substream->due & DUE_RESET && !write_due(substream, DUE_BEFORE_DATA, writer))
        return false;
    uint8_t *mark = writer->at;
    if (substream->due & DUE_RESET) {
        if (substream->due & DUE_ERROR)
            plex_compose_event(writer, substream, DUE_ERROR);
        write_number_frame(writer, substream->id, PLEX_FRAME_RESET, plex_compose_reason(substream));
    } else {
        plex_flow_write(substream, writer);
    }
    if (writer->full) {
        plex_write_undo(writer, mark);
        return false;
    }
    plex_list_remove(substream, LIST_URGENT);
    if (substream->due & DUE_RESET) {
        substream->due = 0;
        if (!(substream->marks & SUB_OPENER))
            plex_substream_over(substream);
    }
    return true;
}

/* One data frame, straight from the host into its place. False when there is no room worth it. */
static bool pull_data(struct plex_substream *substream, struct plex_writer *writer)
{
    struct plex_session *session = substream->session;
    size_t room = (size_t)(writer->end - writer->at);
    if (writer->at != writer->start && room < LEAST_ROOM)
        return false;
    room -= PLEX_HEADER_SIZE;
    bool flow = plex_flow_on(session);
    if (flow && substream->credit_out < room)
        room = substream->credit_out;
    size_t size =
        session->config->callbacks->on_pull(substream, writer->at + PLEX_HEADER_SIZE, room);
    if (size > room)
        size = room;
    if (substream->marks & SUB_DROP)
        size = 0;
    if (!size) {
        substream->marks &= (uint16_t)~SUB_DATA;
        return true;
    }
    plex_write_header(writer->at, substream->id, PLEX_FRAME_DATA, size);
    writer->at += PLEX_HEADER_SIZE + size;
    substream->bytes_out += size;
    if (flow)
        substream->credit_out -= (uint32_t)size;
    return true;
}

/* One turn of a substream. False when the buffer is as good as full. */
static bool pull_turn(struct plex_substream *substream, struct plex_writer *writer)
{
    if (!write_due(substream, DUE_BEFORE_DATA, writer))
        return false;
    if (substream->marks & SUB_DATA && !(substream->marks & SUB_OUT_END) && substream->credit_out &&
        !pull_data(substream, writer))
        return false;
    if (substream->marks & SUB_GONE || substream->due & DUE_RESET)
        return true;
    /* What on_pull has told goes before the data next time: only what follows data is due now. */
    uint16_t due = substream->due;
    if (!write_due(substream, DUE_AFTER_DATA, writer))
        return false;
    if (due & DUE_CLOSE) {
        plex_substream_over(substream);
        return true;
    }
    plex_list_remove(substream, LIST_READY);
    plex_substream_mark(substream);
    return true;
}

size_t plex_session_pull(struct plex_session *session, void *buffer, size_t capacity, uint64_t now)
{
    struct plex_writer writer;
    struct plex_substream *substream;
    if (session->detached || capacity < PLEX_PULL_MIN)
        return 0;
    session->depth++;
    plex_session_time(session, now);
    plex_write_init(&writer, buffer, capacity < PLEX_PULL_MAX ? capacity : PLEX_PULL_MAX);
    size_t uncounted = pull_control(session, &writer);
    bool more = !writer.full;
    while (more && !session->error && (substream = session->lists[LIST_URGENT].first))
        more = pull_urgent(substream, &writer);
    while (more && !session->error && (substream = session->lists[LIST_READY].first))
        more = pull_turn(substream, &writer);
    size_t size = (size_t)(writer.at - writer.start);
    if (session->authed)
        session->bytes_out += size - uncounted;
    if (!size || !plex_session_has_output(session))
        session->told_output = false;
    plex_session_leave(session);
    return size;
}
