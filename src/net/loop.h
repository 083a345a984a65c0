/* One thread's event loop: a wait for descriptors, with what every user of it here needs, and libuv
 * in it for children and signals.
 *
 * A turn of the loop handles timers, then I/O and posted messages, and last the deferred: work
 * that is done once a turn however often it was asked for (flushing a tunnel after all that its
 * substreams had to say).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct uv_loop_s;

/* Work for the end of this turn. Embed it, zero it, set run; the owner keeps it alive until it ran
 * or was cancelled. */
struct loop_deferred {
    void (*run)(struct loop_deferred *deferred);
    struct loop_deferred *next, *previous; /* the loop's; both NULL while not deferred */
};

/* A message from any thread to the loop's. Embed it first in a heap object; run takes it over. */
struct loop_message {
    void (*run)(struct loop_message *message);
    struct loop_message *next; /* the loop's */
};

int loop_new(struct loop **ret_loop) __attribute__((warn_unused_result)); /* 0 or -ENOMEM, ... */
/* Runs until loop_stop(); the thread that calls it is the loop's from then on. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop); /* from the loop's own thread */
/* After the loop's last turn, by the thread that will free it: runs the messages and the deferred
 * work that wait, and what comes of them. True when there was a message. Loops whose messages go to
 * each other are all settled, until none has any, before one is freed. */
bool loop_settle(struct loop *loop);
/* Closes what is the loop's own; every conn, timer and so on must have been closed. Runs their
 * close callbacks. */
void loop_free(struct loop *loop);

/* Microseconds of the monotonic clock, read once a turn; loop_update_now() reads it again. */
uint64_t loop_now(const struct loop *loop);
uint64_t loop_update_now(struct loop *loop);

/* Idempotent while pending. Deferring from within a deferred's run is for the same turn, too. */
void loop_defer(struct loop *loop, struct loop_deferred *deferred);
/* For the end of the next turn, which doesn't wait for events: to go on with work of which this
 * turn has had its share. A deferred that waits for this turn stays there. */
void loop_defer_next(struct loop *loop, struct loop_deferred *deferred);
void loop_undefer(struct loop *loop, struct loop_deferred *deferred);

/* Hands a message to the loop, in order by sender; the only function here that any thread may call.
 */
void loop_post(struct loop *loop, struct loop_message *message);

/* For src/net only: to be called by whoever starts something of libuv's, from its callbacks, too,
 * for libuv runs only when it is known to have something. */
struct uv_loop_s *loop_uv(struct loop *loop);
