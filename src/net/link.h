/* A link: two byte streams, one each way, between two workers, each with a bound.
 *
 * It has two ends, each of which belongs to one loop and is touched by that loop's thread alone.
 * An end is read and written in the manner of a conn: link_read() until CONN_WAIT arms
 * on_readable again, link_write() takes less than all when the bound is reached, and on_writable
 * comes when there is room. What passes between the loops are messages; no lock is taken.
 *
 * Both ends are closed by their owners, in any order; no callback comes after an end's own close.
 * Nothing is posted to an end that was closed: its loop may be freed while the other end is open.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "net/loop.h"

/* Bytes of one direction that were written and not read, at most: as much as a relay has under way
 * in a turn or two. */
#define LINK_WINDOW 262144

struct link_end;

struct link_callbacks {
    void (*on_readable)(struct link_end *end); /* also when the other end has shut down */
    /* There is room again, after link_write() had filled it, took less than all, or CONN_WAIT. */
    void (*on_writable)(struct link_end *end);
    /* The other end was aborted; nothing can be read or written any more. The owner closes. */
    void (*on_aborted)(struct link_end *end);
};

/* Both ends, each for its loop; the second is given to its loop's thread by the caller (in a
 * message), who owns it until then. 0 or -ENOMEM. */
int link_new(struct loop *first_loop, struct loop *second_loop, struct link_end **ret_first,
             struct link_end **ret_second) __attribute__((warn_unused_result));
/* What was written before is told by on_readable at the end of the turn. */
void link_set_callbacks(struct link_end *end, const struct link_callbacks *callbacks, void *user);
void *link_user(const struct link_end *end);

/* Bytes read (> 0), CONN_WAIT, CONN_END or CONN_FAILED, as conn_read() has them. */
ssize_t link_read(struct link_end *end, void *buffer, size_t capacity)
    __attribute__((warn_unused_result));
/* Bytes taken (> 0), CONN_WAIT, or CONN_FAILED (the other end was closed or aborted). They are
 * copied, and sent at the end of the turn; without memory for them, both ends are aborted. */
ssize_t link_write(struct link_end *end, const void *bytes, size_t length)
    __attribute__((warn_unused_result));
/* Bytes that link_write() would take now. */
size_t link_room(const struct link_end *end);
/* No more will be written; the other end reads what was, then CONN_END. Idempotent. */
void link_shutdown(struct link_end *end);
/* What was written still arrives; the other end can no longer write. NULL is fine. */
void link_close(struct link_end *end);
/* The other end gets on_aborted. NULL is fine. */
void link_abort(struct link_end *end);
