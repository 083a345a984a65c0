#include "net/link.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "net/conn.h"

/* Credit goes back in steps: one message for many reads, and the writer never runs dry of it
 * because of what is held back. */
#define CREDIT_STEP (LINK_WINDOW / 4)
/* What a batch has room for at least; small writes of later turns are gathered in it when the
 * reader is slow, so that what waits costs about its size. */
#define BATCH_MIN 1024

enum { NEWS_SHUTDOWN = 1, NEWS_CLOSED = 2, NEWS_ABORTED = 4 };

/* What one end tells the other: bytes, room for more of them, and how it ends. */
struct batch {
    struct loop_message message; /* first; run casts it back */
    struct batch *next;          /* in the receiver's queue */
    struct link_end *to;
    size_t credit;
    unsigned news;
    size_t at, size, capacity; /* bytes[at..size] are there */
    unsigned char bytes[];
};

struct link_end {
    struct link *link;
    struct link_end *other;
    struct loop *loop;
    const struct link_callbacks *callbacks;
    void *user;
    struct loop_deferred deferred;
    struct batch *last;                       /* kept for close and abort: they can't fail */
    struct batch *out;                        /* written in this turn */
    struct batch *in_first, *in_tail;         /* to be read */
    size_t credit;                            /* bytes that may be written */
    size_t unreturned;                        /* bytes read since credit was last given */
    bool shut, shut_told;                     /* no more will be written */
    bool in_shut;                             /* no more will come */
    bool aborted, aborted_told, other_closed; /* the other end's doing, or for want of memory */
    bool readable;                            /* told, and no CONN_WAIT since */
    bool blocked;                             /* on_writable is due when there is room */
    bool announce;                            /* the callbacks are new */
    atomic_bool closed;                       /* written by the owner; the other end may look */
};

/* Both ends in one piece of memory, which lives as long as an open end or a message under way. */
struct link {
    atomic_int references;
    struct link_end ends[2];
};

/* --- life ----------------------------------------------------------------- */

static void run_deferred(struct loop_deferred *deferred);

static void hold(struct link *link)
{
    atomic_fetch_add_explicit(&link->references, 1, memory_order_relaxed);
}

static void let_go(struct link *link)
{
    if (atomic_fetch_sub_explicit(&link->references, 1, memory_order_acq_rel) > 1)
        return;
    free(link->ends[0].last);
    free(link->ends[1].last);
    free(link);
}

int link_new(struct loop *first_loop, struct loop *second_loop, struct link_end **ret_first,
             struct link_end **ret_second)
{
    struct link *link = calloc(1, sizeof *link);
    if (!link)
        return -ENOMEM;
    atomic_init(&link->references, 2);
    for (int i = 0; i < 2; i++) {
        struct link_end *end = &link->ends[i];
        *end = (struct link_end){
            .link = link,
            .other = &link->ends[!i],
            .loop = i ? second_loop : first_loop,
            .deferred = {.run = run_deferred},
            .last = calloc(1, sizeof *end->last),
            .credit = LINK_WINDOW,
        };
        atomic_init(&end->closed, false);
    }
    if (!link->ends[0].last || !link->ends[1].last) {
        atomic_store(&link->references, 1);
        let_go(link);
        return -ENOMEM;
    }
    *ret_first = &link->ends[0];
    *ret_second = &link->ends[1];
    return 0;
}

void link_set_callbacks(struct link_end *end, const struct link_callbacks *callbacks, void *user)
{
    end->callbacks = callbacks;
    end->user = user;
    end->announce = true;
    loop_defer(end->loop, &end->deferred);
}

void *link_user(const struct link_end *end)
{
    return end->user;
}

static bool is_closed(const struct link_end *end)
{
    return atomic_load_explicit(&end->closed, memory_order_acquire);
}

static void drop_queue(struct link_end *end)
{
    while (end->in_first) {
        struct batch *batch = end->in_first;
        end->in_first = batch->next;
        free(batch);
    }
    end->in_tail = NULL;
}

/* --- telling the owner; each may close the end ----------------------------- */

static void tell_readable(struct link_end *end)
{
    if (end->readable || !end->callbacks)
        return;
    end->readable = true;
    end->callbacks->on_readable(end);
}

static void tell_writable(struct link_end *end)
{
    if (!end->blocked || !end->callbacks)
        return;
    end->blocked = false;
    end->callbacks->on_writable(end);
}

static void tell_aborted(struct link_end *end)
{
    if (end->aborted_told || !end->callbacks)
        return;
    end->aborted_told = true;
    end->callbacks->on_aborted(end);
}

/* --- messages ------------------------------------------------------------- */

static void receive(struct loop_message *message);

/* To an end that is closed already nothing is posted: its loop may be gone, too. */
static void post(struct link_end *end, struct batch *batch)
{
    struct link_end *to = end->other;
    if (is_closed(to)) {
        free(batch);
        return;
    }
    batch->message.run = receive;
    batch->to = to;
    hold(end->link);
    loop_post(to->loop, &batch->message);
}

static void post_last(struct link_end *end, unsigned news)
{
    struct batch *last = end->last;
    if (!last)
        return;
    end->last = NULL;
    last->news = news;
    post(end, last);
}

static void abort_both(struct link_end *end)
{
    end->aborted = true;
    free(end->out);
    end->out = NULL;
    drop_queue(end);
    post_last(end, NEWS_ABORTED);
}

/* Sends what this turn had to say, if anything; without memory for it the link is aborted. */
static void flush(struct link_end *end)
{
    bool must_shut = end->shut && !end->shut_told;
    if (end->aborted || (!end->out && !must_shut && end->unreturned < CREDIT_STEP))
        return;
    struct batch *batch = end->out ? end->out : calloc(1, sizeof *batch);
    end->out = NULL;
    if (!batch) {
        abort_both(end);
        return;
    }
    batch->credit = end->unreturned;
    batch->news = must_shut ? NEWS_SHUTDOWN : 0;
    end->unreturned = 0;
    end->shut_told = end->shut;
    post(end, batch);
}

static bool has_news(const struct link_end *end)
{
    return end->in_first || end->in_shut;
}

static void announce(struct link_end *end)
{
    end->announce = false;
    if (end->aborted) {
        end->aborted_told = false; /* the new owner hasn't been */
        tell_aborted(end);
        return;
    }
    end->readable = false;
    if (has_news(end))
        tell_readable(end);
    if (!is_closed(end) && link_room(end))
        tell_writable(end);
}

static void run_deferred(struct loop_deferred *deferred)
{
    struct link_end *end =
        (struct link_end *)(void *)((char *)deferred - offsetof(struct link_end, deferred));
    struct link *link = end->link;
    hold(link);
    flush(end);
    if (end->announce)
        announce(end);
    else if (end->aborted)
        tell_aborted(end);
    let_go(link);
}

/* Takes the batch. Few bytes join those that wait already. */
static void enqueue(struct link_end *end, struct batch *batch)
{
    struct batch *tail = end->in_tail;
    if (tail && tail->capacity - tail->size >= batch->size) {
        memcpy(tail->bytes + tail->size, batch->bytes, batch->size);
        tail->size += batch->size;
        free(batch);
        return;
    }
    batch->next = NULL;
    *(tail ? &tail->next : &end->in_first) = batch;
    end->in_tail = batch;
}

static void take_news(struct link_end *end, unsigned news, size_t credit)
{
    bool is_over = news & NEWS_CLOSED;
    end->credit += credit;
    end->other_closed |= is_over;
    end->in_shut |= (news & (NEWS_SHUTDOWN | NEWS_CLOSED)) != 0;
    if (has_news(end))
        tell_readable(end);
    if (!is_closed(end) && (credit || is_over))
        tell_writable(end); /* after a close, to find out that nothing is taken any more */
}

static void receive(struct loop_message *message)
{
    struct batch *batch = (struct batch *)message;
    struct link_end *end = batch->to;
    struct link *link = end->link;
    unsigned news = batch->news;
    size_t credit = batch->credit;
    if (is_closed(end) || end->aborted || !batch->size)
        free(batch);
    else
        enqueue(end, batch);
    if (!is_closed(end) && !end->aborted) {
        if (news & NEWS_ABORTED) {
            end->aborted = true;
            free(end->out);
            end->out = NULL;
            drop_queue(end);
            tell_aborted(end);
        } else {
            take_news(end, news, credit);
        }
    }
    let_go(link);
}

/* --- reading and writing -------------------------------------------------- */

ssize_t link_read(struct link_end *end, void *buffer, size_t capacity)
{
    size_t taken = 0;
    assert(capacity > 0);
    if (end->aborted)
        return CONN_FAILED;
    while (end->in_first && taken < capacity) {
        struct batch *batch = end->in_first;
        size_t size = batch->size - batch->at;
        if (size > capacity - taken)
            size = capacity - taken;
        memcpy((char *)buffer + taken, batch->bytes + batch->at, size);
        batch->at += size;
        taken += size;
        if (batch->at == batch->size) {
            end->in_first = batch->next;
            free(batch);
        }
    }
    if (!end->in_first)
        end->in_tail = NULL;
    if (taken) {
        end->unreturned += taken;
        if (end->unreturned >= CREDIT_STEP && !end->other_closed)
            loop_defer(end->loop, &end->deferred);
        return (ssize_t)taken;
    }
    if (end->in_shut)
        return CONN_END;
    end->readable = false;
    return CONN_WAIT;
}

/* Room in this turn's batch for `more` bytes, which are within the credit. */
static int reserve(struct link_end *end, size_t more)
{
    struct batch *batch = end->out;
    size_t size = batch ? batch->size : 0, capacity = batch ? batch->capacity : BATCH_MIN;
    if (batch && size + more <= capacity)
        return 0;
    while (capacity < size + more)
        capacity *= 2;
    batch = realloc(batch, sizeof *batch + capacity);
    if (!batch)
        return -ENOMEM;
    if (!end->out)
        *batch = (struct batch){0};
    batch->capacity = capacity;
    end->out = batch;
    return 0;
}

ssize_t link_write(struct link_end *end, const void *bytes, size_t length)
{
    assert(length > 0 && !end->shut);
    if (end->aborted || end->other_closed)
        return CONN_FAILED;
    if (length >= end->credit) {
        end->blocked = true;
        length = end->credit;
        if (!length)
            return CONN_WAIT;
    }
    if (reserve(end, length) < 0) {
        abort_both(end);
        loop_defer(end->loop, &end->deferred);
        return CONN_FAILED;
    }
    memcpy(end->out->bytes + end->out->size, bytes, length);
    end->out->size += length;
    end->credit -= length;
    loop_defer(end->loop, &end->deferred);
    return (ssize_t)length;
}

size_t link_room(const struct link_end *end)
{
    return end->aborted || end->other_closed || end->shut ? 0 : end->credit;
}

void link_shutdown(struct link_end *end)
{
    if (end->shut)
        return;
    end->shut = true;
    end->blocked = false;
    loop_defer(end->loop, &end->deferred);
}

static void close_with(struct link_end *end, unsigned news)
{
    assert(!is_closed(end));
    loop_undefer(end->loop, &end->deferred);
    end->callbacks = NULL;
    drop_queue(end);
    if (news == NEWS_CLOSED)
        flush(end);
    free(end->out);
    end->out = NULL;
    post_last(end, news);
    atomic_store_explicit(&end->closed, true, memory_order_release);
    let_go(end->link);
}

void link_close(struct link_end *end)
{
    if (end)
        close_with(end, NEWS_CLOSED);
}

void link_abort(struct link_end *end)
{
    if (end)
        close_with(end, NEWS_ABORTED);
}
