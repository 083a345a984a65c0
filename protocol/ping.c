/* Pings and round trips (§8.3). */
#include "internal.h"

#include <string.h>

/* The least round trip is kept for 10 s, in two halves. */
#define HALF (5 * PLEX_SECOND)
/* Pings of our own accord, while bulk data arrives: no more often than this or a round trip.
 * Windows may double with each, so that even the shortest path's has grown in a moment. */
#define BULK_INTERVAL (PLEX_SECOND / 250)

static void forget_old(struct plex_session *session)
{
    uint64_t age = session->now - session->rtt_start;
    if (age < HALF)
        return;
    session->rtt[1] = age < 2 * HALF ? session->rtt[0] : 0;
    session->rtt[0] = 0;
    session->rtt_start = session->now;
}

uint32_t plex_ping_rtt(const struct plex_session *session)
{
    if (!PLEX_HAS_GROWTH)
        return 0;
    uint64_t age = session->now - session->rtt_start;
    uint32_t current = age < 2 * HALF ? session->rtt[0] : 0,
             last = age < HALF ? session->rtt[1] : 0;
    return current && (!last || current < last) ? current : last;
}

void plex_ping_request(struct plex_session *session)
{
    if (session->features & PLEX_PING && !session->ping_out)
        session->control |= CONTROL_PING;
}

void plex_session_ping(struct plex_session *session)
{
    plex_ping_request(session);
    plex_session_settle(session);
}

void plex_ping_bulk(struct plex_session *session)
{
    uint32_t rtt = plex_ping_rtt(session);
    uint64_t interval = rtt > BULK_INTERVAL ? rtt : BULK_INTERVAL;
    if (!session->ping_number || session->now - session->ping_sent >= interval)
        plex_ping_request(session);
}

void plex_ping_write(struct plex_session *session, struct plex_writer *writer)
{
    uint8_t bytes[8] = {0};
    if (session->control & CONTROL_PONG)
        plex_write_frame(writer, 0, PLEX_FRAME_PONG, session->pong, 8);
    if (session->control & CONTROL_PING) {
        /* Never 0, which says that there was none yet. */
        session->ping_number += session->ping_number == UINT32_MAX ? 2 : 1;
        plex_put32(bytes + 4, session->ping_number);
        plex_write_frame(writer, 0, PLEX_FRAME_PING, bytes, 8);
        session->ping_sent = session->now;
        session->ping_out = true;
    }
    if (!writer->full)
        session->control &= (uint8_t) ~(CONTROL_PONG | CONTROL_PING);
}

static void measure(struct plex_session *session)
{
    uint64_t rtt = session->now - session->ping_sent;
    uint32_t sample = rtt > UINT32_MAX ? UINT32_MAX : rtt ? (uint32_t)rtt : 1;
    session->answered = session->ping_sent;
    session->rtt_last = sample;
    forget_old(session);
    if (!session->rtt[0] || sample < session->rtt[0])
        session->rtt[0] = sample;
}

void plex_ping_pong(struct plex_session *session, const uint8_t bytes[8])
{
    if (!session->ping_out || plex_get32(bytes) || plex_get32(bytes + 4) != session->ping_number)
        return;
    session->ping_out = false;
    if (PLEX_HAS_GROWTH)
        measure(session);
}
