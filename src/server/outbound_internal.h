/* An outbound's inside, for outbound.c (its life with a tunnel) and outbound_linger.c (after it).
 */
#pragma once

#include <stdbool.h>

#include "net/conn.h"
#include "net/dial.h"
#include "net/relay.h"
#include "net/timer.h"
#include "server/outbound.h"
#include "server/worker.h"

struct outbound {
    struct relay relay;               /* first: the relay's callbacks find the outbound by it */
    struct plex_substream *substream; /* NULL: over, or lingering */
    struct tunnel *tunnel;            /* NULL: lingering */
    struct grant *grant;              /* its tunnel's, a reference; NULL: none */
    struct worker *worker;
    struct dial *dial;  /* while one is under way */
    struct conn *conn;  /* from then on */
    struct timer timer; /* the earliest of what is due */
    uint64_t opened_at;
    uint64_t active_at;             /* the last byte either way */
    uint64_t uploaded_at;           /* the last byte from the device, or of it to the target */
    uint64_t tls_deadline;          /* 0: none */
    uint64_t idle_time;             /* `_pls_timeout`, microseconds; 0: off */
    size_t counted_spill;           /* what the gauge of buffered bytes holds of ours */
    struct reclaim reclaim;         /* when over */
    struct outbound_linger *linger; /* NULL: its tunnel is there */
    char *host;
    uint16_t port;
    bool tls, idle_told;
    union address address; /* the one chosen; family 0 before */
};

static inline uint64_t outbound_now(const struct outbound *outbound)
{
    return loop_now(outbound->worker->loop);
}

/* outbound.c */
/* The one door: what is left to do is the substream's own end, which the callers see to. */
void outbound_over(struct outbound *outbound, bool orderly, const char *reason);
/* Starts the timer anew when something is due earlier. */
void outbound_arm(struct outbound *outbound);
/* The gauge of buffered bytes follows the spill. */
void outbound_count_spill(struct outbound *outbound);

/* outbound_linger.c */
/* What a lingering outbound says of itself in logs, in place of tunnel and substream. */
struct outbound_linger {
    struct outbound *outbound;
    struct outbound_linger *next, *previous; /* the worker's list */
    uint64_t deadline;
    uint64_t tunnel_id, bytes_in, bytes_out;
    size_t held; /* what it counts for in the worker's sum */
    uint16_t substream_id;
    char owner[];
};

/* The tunnel closes under the outbound: true when the outbound stays, to deliver what the device
 * had sent before its `end`. */
bool outbound_linger_start(struct outbound *outbound);
/* Something went on at the target: true when the outbound is over by it. */
bool outbound_linger_step(struct outbound *outbound);
/* Reads and drops what the target sends, for one that can't write doesn't read either. */
void outbound_linger_drop(struct outbound *outbound);
/* From outbound_over(). */
void outbound_linger_end(struct outbound *outbound);
