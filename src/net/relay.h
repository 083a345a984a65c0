/* A relay joins two ends and passes bytes, half-closes and failures between them.
 *
 * The active end pushes what it has and pulls what it can take, when it suits it: a substream. The
 * passive end is read and written by the relay: a connection. Neither knows what the other is; each
 * is a small table of functions.
 *
 *   active ── relay_push ──▶ [spill] ── write ──▶ passive
 *   active ◀── relay_pull ───────────── read ──── passive
 *
 * Only the first direction has a buffer, the spill: what the passive end didn't take yet, or
 * everything while there is no passive end yet (a dial under way). The active end bounds it, by not
 * pushing more than is left unconsumed. The second has none: bytes are read from the passive end
 * right into the place where the active end wants them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/fifo.h"

struct relay;

/* How the relay speaks to the active end. */
struct relay_active_ops {
    void (*ready)(struct relay *relay);                   /* there may be something to pull */
    void (*consumed)(struct relay *relay, size_t length); /* of what was pushed */
    void (*end)(struct relay *relay);                     /* nothing more will be there to pull */
};

/* How the relay speaks to the passive end; results as conn_read() and conn_write() have them. */
struct relay_passive_ops {
    ssize_t (*read)(void *end, void *buffer, size_t capacity);
    ssize_t (*write)(void *end, const void *bytes, size_t length);
    void (*shutdown)(void *end);
};

struct relay_owner_ops {
    /* Both directions have ended and all was passed on. */
    void (*done)(struct relay *relay);
    /* Reading from or writing to the passive end failed (`operation` is "read" or "write"), or
     * memory ran out ("buffer"). */
    void (*failed)(struct relay *relay, const char *operation);
};

struct relay {
    const struct relay_active_ops *active;
    const struct relay_owner_ops *owner;
    const struct relay_passive_ops *passive;
    void *passive_end; /* NULL until relay_join() */
    struct fifo spill;
    bool push_ended; /* the active end has no more */
    bool pull_ended; /* the passive end has no more */
    bool shut_down;  /* the passive end was told */
    bool over;       /* done or failed was called: nothing more is */
    bool gathers;    /* the owner's, after relay_init(): relay_gather_begin() may hold its pushes */
};

void relay_init(struct relay *relay, const struct relay_active_ops *active,
                const struct relay_owner_ops *owner);
/* The passive end is there: what was spilled is written, and the active end is told to pull. */
void relay_join(struct relay *relay, const struct relay_passive_ops *passive, void *end);
void relay_deinit(struct relay *relay);

/* From the active end. After each, look at `over` before touching anything that the owner may have
 * freed: the relay itself is the owner's to keep until the call has returned. */
void relay_push(struct relay *relay, const void *bytes, size_t length);
void relay_push_end(struct relay *relay);
size_t relay_pull(struct relay *relay, void *buffer, size_t capacity);

/* From now until the end, what this thread pushes to one relay that `gathers` in pieces of some
 * size is kept until it is as much as one write should have, another relay's turn comes, or the
 * end: a wake-up of who reads it, and a walk through TCP, for several records instead of one each.
 * Such a push is consumed, done or failed only then; the owner has to stand that from within
 * relay_gather_end() and another relay's relay_push(). */
void relay_gather_begin(void);
void relay_gather_end(void);
/* Writes at once what was kept of this one. */
void relay_flush(struct relay *relay);

/* From the passive end's readiness. */
void relay_readable(struct relay *relay);
void relay_writable(struct relay *relay);

/* The operations of a struct conn as a passive end. */
extern const struct relay_passive_ops relay_conn_ops;
