/* Work that takes long (hashing a password), done by threads of its own beside a loop, a few at a
 * time, with a bound on how much may wait. */
#pragma once

#include "net/loop.h"

struct work_queue;

/* Embed it in a heap object; it is the queue's from work_queue_add() until `done` runs. */
struct work {
    void (*run)(struct work *work);  /* on a thread of the queue: touches nothing but the object */
    void (*done)(struct work *work); /* on the loop; takes the object over */
    struct loop *loop;               /* the queue's, as what follows */
    struct work *next;
    struct loop_message message;
};

/* loop: that of `done`; NULL: only work_queue_add_for() is used. threads: 1 or more; most_waiting:
 * of what no thread has begun with, 1 or more. 0 or a negative errno. */
int work_queue_new(struct loop *loop, unsigned threads, unsigned most_waiting,
                   struct work_queue **ret_queue) __attribute__((warn_unused_result));
/* On the loop's thread. 0, or -EAGAIN: as much waits as may; the object is still the caller's. */
int work_queue_add(struct work_queue *queue, struct work *work) __attribute__((warn_unused_result));
/* On any thread, for a queue that several loops share: `done` runs on `loop`, which outlives the
 * queue. */
int work_queue_add_for(struct work_queue *queue, struct loop *loop, struct work *work)
    __attribute__((warn_unused_result));
/* Waits for what runs. What waited (without having been run) and what has run still gets its
 * `done`, as a message of the loop: in its next turn, loop_settle() or loop_free(). So `done` has
 * to find out whether whom it works for is still there, and whether `run` was called. NULL is fine.
 */
void work_queue_free(struct work_queue *queue);
