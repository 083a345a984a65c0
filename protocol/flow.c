/* How much may come: credit and growing windows; without the feature a buffer for all and the stall
 * rule; and what comes too late (§7.4, §8.2, §10).
 *
 * With flow a substream the host knows is charged to the session and the budget with what its peer
 * may still send and what the host holds: that is what may have to be kept. A substream without a
 * host keeps nothing. */
#include "internal.h"

/* What scheduling and a turn's other work add to a round trip without there being any queue. */
#define RTT_NOISE 250

/* So much consumed is worth a credit frame, however large the window. */
#define GRANT_MOST 131072

static void charge(struct plex_session *session, int64_t change)
{
    session->committed += (uint64_t)change;
    if (PLEX_HAS_SERVER && session->config->budget)
        session->config->budget->used += (uint64_t)change;
}

void plex_flow_move_budget(struct plex_session *session, struct plex_budget *to)
{
    if (PLEX_HAS_SERVER && session->config->budget)
        session->config->budget->used -= session->committed;
    if (PLEX_HAS_SERVER && to)
        to->used += session->committed;
}

void plex_flow_open(struct plex_substream *substream)
{
    struct plex_session *session = substream->session;
    if (!plex_flow_on(session)) {
        substream->credit_out = UINT32_MAX;
        return;
    }
    substream->window = substream->credit_in = session->ours.window;
    substream->credit_out = session->peer_window;
    if (substream->marks & SUB_HOST)
        charge(session, substream->credit_in);
}

void plex_flow_uncharge(struct plex_substream *substream)
{
    struct plex_session *session = substream->session;
    if (plex_flow_on(session))
        charge(session, -(int64_t)((uint64_t)substream->credit_in + substream->buffered));
    session->buffered -= substream->buffered;
    substream->buffered = 0;
    if (PLEX_HAS_BUFFER && session->stalled == substream)
        session->stalled = NULL;
    plex_flow_drain(session);
}

void plex_flow_received(struct plex_substream *substream, size_t size)
{
    struct plex_session *session = substream->session;
    if (plex_flow_on(session))
        substream->credit_in -= (uint32_t)size;
    if (substream->marks & SUB_HOST) {
        substream->buffered += (uint32_t)size;
        session->buffered += (uint32_t)size;
        substream->bytes_in += size;
    } else {
        plex_flow_check(substream);
    }
}

/* What the budgets have left. */
static uint64_t room(const struct plex_session *session)
{
    const struct plex_budget *budget = session->config->budget;
    uint64_t limit = session->config->credit_limit;
    uint64_t left = session->committed < limit ? limit - session->committed : 0;
    if (PLEX_HAS_SERVER && budget) {
        uint64_t others = budget->used < budget->limit ? budget->limit - budget->used : 0;
        left = others < left ? others : left;
    }
    return left;
}

/* The credit to give now. *ret_enough says that it is worth a frame. */
static uint32_t owed(const struct plex_substream *substream, bool *ret_enough)
{
    const struct plex_session *session = substream->session;
    uint32_t window = substream->window, kept = substream->credit_in + substream->buffered;
    *ret_enough = false;
    if (!plex_flow_on(session) || substream->marks & SUB_IN_END)
        return 0;
    if (!(substream->marks & SUB_HOST)) {
        /* Without reset an opener drops what comes and gives credit for it: else the acceptor, who
         * doesn't know, might never get to its last frame (§7.3). */
        if (!(substream->marks & SUB_OPENER) || session->features & PLEX_RESET)
            return 0;
        window = session->ours.window;
    }
    if (window <= kept)
        return 0;
    uint32_t wanted = window - kept;
    uint64_t left = room(session);
    if (wanted > left && substream->marks & SUB_HOST) {
        /* Under pressure, no more than the floor that keeps every substream moving. */
        uint32_t ours = session->ours.window;
        window = ours < PLEX_WINDOW_FLOOR ? ours : PLEX_WINDOW_FLOOR;
        uint32_t least = kept < window ? window - kept : 0;
        wanted = least > left ? least : (uint32_t)left;
    }
    /* A quarter of the window, but what a large one leaves idle until then should be little. */
    *ret_enough = wanted >= (window / 4 < GRANT_MOST ? window / 4 : GRANT_MOST);
    return wanted;
}

void plex_flow_check(struct plex_substream *substream)
{
    bool enough;
    owed(substream, &enough);
    if (!enough || substream->due & DUE_CREDIT)
        return;
    substream->due |= DUE_CREDIT;
    plex_substream_mark(substream);
    if (PLEX_HAS_GROWTH)
        plex_ping_bulk(substream->session);
}

/* Once a round trip, when a ping that was sent since the last time has been answered: a window of
 * which a quarter and more is used in the least round trip limits the rate, and is doubled; unless
 * that ping took twice the least, for then there is a queue on the way already, and more would only
 * wait in it, before every other substream. */
static void grow(struct plex_substream *substream)
{
    const struct plex_session *session = substream->session;
    uint32_t window = substream->window, most = session->config->window_max;
    uint64_t rtt = plex_ping_rtt(session), time = session->now - substream->epoch;
    uint64_t bytes = (uint32_t)substream->bytes_in - substream->epoch_bytes;
    if (!rtt || session->answered < substream->epoch)
        return;
    substream->epoch = session->now;
    substream->epoch_bytes = (uint32_t)substream->bytes_in;
    if (bytes * rtt >= window / 4 * time && session->rtt_last <= 2 * rtt + RTT_NOISE &&
        window < most && room(session) > window)
        substream->window = window < most / 2 ? window * 2 : most;
}

void plex_flow_write(struct plex_substream *substream, struct plex_writer *writer)
{
    bool enough;
    uint8_t payload[4];
    uint32_t credit = owed(substream, &enough);
    if (PLEX_HAS_GROWTH && credit && substream->marks & SUB_HOST) {
        grow(substream);
        credit = owed(substream, &enough);
    }
    if (credit) {
        plex_put32(payload, credit);
        plex_write_frame(writer, substream->id, PLEX_FRAME_CREDIT, payload, sizeof payload);
        if (writer->full)
            return;
        substream->credit_in += credit;
        if (substream->marks & SUB_HOST)
            charge(substream->session, credit);
    }
    substream->due &= (uint16_t)~DUE_CREDIT;
}

int plex_flow_credit(struct plex_substream *substream, uint32_t credit)
{
    if (credit == 0 || credit > PLEX_CREDIT_MAX)
        return PLEX_TUNNEL_EXTENSION;
    if (credit > PLEX_CREDIT_MAX - substream->credit_out)
        return PLEX_TUNNEL_CREDIT;
    substream->credit_out += credit;
    plex_substream_mark(substream);
    return 0;
}

void plex_substream_consume(struct plex_substream *substream, size_t length)
{
    struct plex_session *session = substream->session;
    uint32_t size = length < substream->buffered ? (uint32_t)length : substream->buffered;
    if (!size)
        return;
    substream->buffered -= size;
    session->buffered -= size;
    if (plex_flow_on(session)) {
        charge(session, -(int64_t)size);
        plex_flow_check(substream);
    } else if (PLEX_HAS_BUFFER) {
        if (session->stalled == substream)
            session->stall_taken += size;
        plex_flow_drain(session);
    }
    plex_session_settle(session);
}

/* Chooses who holds up the others: the one that keeps the most. */
static void blame(struct plex_session *session)
{
    struct plex_substream *most = NULL;
    const struct plex_table *table = &session->table;
    for (uint32_t slot = 0; table->slots && slot < 1u << table->bits; slot++)
        for (struct plex_substream *at = table->slots[slot]; at; at = at->chain)
            if (!most || at->buffered > most->buffered)
                most = at;
    /* A clock that runs for the same one goes on: else a target that takes a little now and then
     * would never be found out. */
    if (most == session->stalled &&
        session->now - session->stall_start < session->config->stall_time)
        return;
    session->stalled = most;
    session->stall_start = session->now;
    session->stall_taken = 0;
}

void plex_flow_fill(struct plex_session *session)
{
    if (!PLEX_HAS_BUFFER || plex_flow_on(session) || session->full ||
        session->buffered < session->config->buffer_limit)
        return;
    session->full = true;
    blame(session);
}

void plex_flow_drain(struct plex_session *session)
{
    uint32_t limit = session->config->buffer_limit;
    /* A quarter below the limit: not a stop and go at every byte. */
    if (!PLEX_HAS_BUFFER || !session->full || session->buffered > limit - limit / 4 ||
        session->buffered == limit)
        return;
    session->full = false;
    session->fresh = true;
}

void plex_flow_stall(struct plex_session *session)
{
    struct plex_substream *stalled = session->stalled;
    if (stalled && session->stall_taken < session->config->stall_bytes) {
        session->stalls++;
        plex_substream_fault(stalled, PLEX_SUBSTREAM_STALLED);
    }
    if (session->full)
        blame(session);
}

int plex_flow_late(struct plex_session *session, bool data, size_t size)
{
    if (!PLEX_HAS_BUFFER)
        return 0;
    if (data && plex_flow_on(session)) {
        if (size > session->late_credit)
            return PLEX_TUNNEL_LATE_DATA;
        session->late_credit -= size;
        return 0;
    }
    if (session->now - session->late_start >= PLEX_SECOND) {
        session->late_start = session->now;
        session->late[0] = session->late[1] = 0;
    }
    session->late[data] += (uint32_t)size;
    if (session->late[data] <= PLEX_LATE_PER_SECOND)
        return 0;
    /* A device that knows no credit can't know in time that its substream was aborted: what it had
     * sent by then, however much, is no fault of its. */
    if (!data)
        return PLEX_TUNNEL_LATE_DATA;
    session->late_full = true;
    return 0;
}

void plex_flow_late_over(struct plex_session *session)
{
    session->late_full = false;
    session->fresh = true;
}
