#include "net/loop.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <uv.h>

#include "net/loop_internal.h"
#include "net/watch.h"
#include "net/wheel.h"

/* A turn is: timers, the deferred of what came before, one wait for events, the events, messages
 * among them, and the deferred of those. The wait is our epoll's (net/watch.h); libuv, which has
 * children and signals, is a descriptor in it, and runs when that is ready or something of it is
 * under way. So a turn in which libuv has no part makes one system call for its events. */
struct loop {
    uv_loop_t uv;
    struct watch uv_watch;
    bool uv_is_due; /* it is ready, or was given something: what it is to watch it adds to its epoll
                       only when it runs */
    bool is_stopped;
    struct watch wake; /* an eventfd */
    struct watches *watches;
    struct wheel wheel;
    uint64_t now;
    bool now_is_old;
    struct loop_deferred deferred; /* head of a circular list */
    struct loop_deferred next;     /* the same, for the next turn */
    struct loop_exit exits;        /* head of a circular list */
    pthread_mutex_t mutex;         /* of the two below */
    struct loop_message *first_message;
    struct loop_message **last_message;
};

struct uv_loop_s *loop_uv(struct loop *loop)
{
    loop->uv_is_due = true;
    return &loop->uv;
}

struct watches *loop_watches(struct loop *loop)
{
    return loop->watches;
}

struct wheel *loop_wheel(struct loop *loop)
{
    return &loop->wheel;
}

uint64_t loop_update_now(struct loop *loop)
{
    loop->now = uv_hrtime() / 1000;
    loop->now_is_old = false;
    return loop->now;
}

/* Read when it is first asked for in a turn: nobody sees the time from before the poll. */
uint64_t loop_now(const struct loop *loop)
{
    return loop->now_is_old ? loop_update_now((struct loop *)loop) : loop->now;
}

static void append(struct loop_deferred *list, struct loop_deferred *deferred)
{
    deferred->next = list;
    deferred->previous = list->previous;
    deferred->previous->next = deferred;
    list->previous = deferred;
}

void loop_defer(struct loop *loop, struct loop_deferred *deferred)
{
    if (!deferred->next)
        append(&loop->deferred, deferred);
}

void loop_defer_next(struct loop *loop, struct loop_deferred *deferred)
{
    if (deferred->next)
        return;
    append(&loop->next, deferred);
}

void loop_undefer(struct loop *loop, struct loop_deferred *deferred)
{
    if (!deferred->next)
        return;
    deferred->previous->next = deferred->next;
    deferred->next->previous = deferred->previous;
    deferred->next = deferred->previous = NULL;
}

static void run_deferred(struct loop *loop)
{
    while (loop->deferred.next != &loop->deferred) {
        struct loop_deferred *deferred = loop->deferred.next;
        loop_undefer(loop, deferred);
        deferred->run(deferred);
    }
}

void loop_at_exit(struct loop *loop, struct loop_exit *exit)
{
    exit->next = &loop->exits;
    exit->previous = loop->exits.previous;
    exit->previous->next = exit;
    loop->exits.previous = exit;
}

void loop_not_at_exit(struct loop *loop, struct loop_exit *exit)
{
    exit->previous->next = exit->next;
    exit->next->previous = exit->previous;
    exit->next = exit->previous = NULL;
}

void loop_post(struct loop *loop, struct loop_message *message)
{
    message->next = NULL;
    pthread_mutex_lock(&loop->mutex);
    bool was_empty = !loop->first_message;
    *loop->last_message = message;
    loop->last_message = &message->next;
    pthread_mutex_unlock(&loop->mutex);
    if (was_empty) {
        static const uint64_t one = 1;
        ssize_t written = write(loop->wake.fd, &one, sizeof one);
        assert(written == sizeof one); /* only 2^64 of them would not fit */
        (void)written;
    }
}

/* True when there was one. */
static bool run_messages(struct loop *loop)
{
    pthread_mutex_lock(&loop->mutex);
    struct loop_message *message = loop->first_message;
    loop->first_message = NULL;
    loop->last_message = &loop->first_message;
    pthread_mutex_unlock(&loop->mutex);
    bool any = message != NULL;
    while (message) {
        struct loop_message *next = message->next;
        message->run(message);
        message = next;
    }
    return any;
}

/* Watched by its edges, of which each write makes one: nobody needs to read what was written. */
static void on_wake(struct watch *watch, uint32_t events)
{
    run_messages((struct loop *)(void *)((char *)watch - offsetof(struct loop, wake)));
}

static void on_uv_ready(struct watch *watch, uint32_t events)
{
    struct loop *loop = (struct loop *)(void *)((char *)watch - offsetof(struct loop, uv_watch));
    loop->uv_is_due = true;
}

/* What waited for this turn joins what came up in it; it may defer itself again, to the turn after.
 */
static void take_next(struct loop *loop)
{
    struct loop_deferred *first = loop->next.next, *last = loop->next.previous;
    if (first == &loop->next)
        return;
    first->previous = loop->deferred.previous;
    first->previous->next = first;
    last->next = &loop->deferred;
    loop->deferred.previous = last;
    loop->next.next = loop->next.previous = &loop->next;
}

/* Something was started, or is being closed. */
static bool uv_has_work(const struct loop *loop)
{
    return loop->uv_is_due || (uv_loop_alive(&loop->uv) && uv_backend_timeout(&loop->uv) == 0);
}

/* Without a handle libuv doesn't look at its descriptor, which may be left ready (a signal of a
 * child that is over): nobody watches it then. */
static void run_uv(struct loop *loop)
{
    if (!uv_has_work(loop))
        return;
    loop->uv_is_due = false;
    uv_run(&loop->uv, UV_RUN_NOWAIT);
    if (!uv_loop_alive(&loop->uv))
        watch_remove(loop, &loop->uv_watch);
    else if (loop->uv_watch.fd < 0 &&
             watch_add(loop, &loop->uv_watch, uv_backend_fd(&loop->uv), EPOLLIN) < 0)
        loop->uv_is_due = true; /* no memory: the next turn tries again */
}

/* Milliseconds until there is something to do without an event; -1: there is nothing. */
static int time_to_wait(struct loop *loop)
{
    if (loop->is_stopped || loop->next.next != &loop->next || uv_has_work(loop))
        return 0;
    uint64_t next = wheel_next(&loop->wheel);
    if (next == UINT64_MAX)
        return -1;
    uint64_t now = loop_update_now(loop);
    uint64_t milliseconds = next > now ? (next - now + 999) / 1000 : 0;
    return milliseconds < INT_MAX ? (int)milliseconds : INT_MAX;
}

static void run_timers(struct loop *loop)
{
    uint64_t next = wheel_next(&loop->wheel);
    if (next != UINT64_MAX && next <= loop_update_now(loop))
        wheel_advance(&loop->wheel, loop->now);
}

static void run_turn(struct loop *loop)
{
    run_timers(loop);
    run_deferred(loop);
    int milliseconds = time_to_wait(loop);
    loop->now_is_old = true;
    watches_wait(loop->watches, milliseconds);
    run_uv(loop);
    take_next(loop);
    run_deferred(loop);
}

/* Closes what init_watches() opened. */
static void close_watches(struct loop *loop)
{
    if (loop->wake.fd >= 0)
        close(loop->wake.fd);
    watches_free(loop->watches);
}

static int init_watches(struct loop *loop)
{
    loop->wake = (struct watch){.run = on_wake, .fd = -1};
    loop->uv_watch = (struct watch){.run = on_uv_ready, .fd = -1, .is_level = true};
    int error = watches_new(&loop->watches);
    if (error < 0)
        return error;
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    error = fd < 0 ? -errno : watch_add(loop, &loop->wake, fd, EPOLLIN);
    if (error < 0 && fd >= 0)
        close(fd);
    if (error == 0)
        error = watch_add(loop, &loop->uv_watch, uv_backend_fd(&loop->uv), EPOLLIN);
    if (error < 0)
        close_watches(loop);
    return error;
}

int loop_new(struct loop **ret_loop)
{
    struct loop *loop = calloc(1, sizeof *loop);
    if (!loop)
        return -ENOMEM;
    signal(SIGPIPE, SIG_IGN);
    /* A write beyond the file size limit (ulimit -f) then fails as on a full disk. */
    signal(SIGXFSZ, SIG_IGN);
    int error = uv_loop_init(&loop->uv);
    if (error < 0) {
        free(loop);
        return error;
    }
    error = init_watches(loop);
    if (error < 0) {
        uv_loop_close(&loop->uv);
        free(loop);
        return error;
    }
    loop->deferred.next = loop->deferred.previous = &loop->deferred;
    loop->next.next = loop->next.previous = &loop->next;
    loop->exits.next = loop->exits.previous = &loop->exits;
    loop->last_message = &loop->first_message;
    pthread_mutex_init(&loop->mutex, NULL);
    wheel_init(&loop->wheel, loop_update_now(loop));
    *ret_loop = loop;
    return 0;
}

void loop_run(struct loop *loop)
{
    loop->now_is_old = true;
    while (!loop->is_stopped)
        run_turn(loop);
    loop->is_stopped = false;
}

void loop_stop(struct loop *loop)
{
    loop->is_stopped = true;
}

bool loop_settle(struct loop *loop)
{
    bool any = run_messages(loop);
    take_next(loop);
    run_deferred(loop);
    return any;
}

void loop_free(struct loop *loop)
{
    if (!loop)
        return;
    run_messages(loop);
    while (loop->exits.next != &loop->exits) {
        struct loop_exit *exit = loop->exits.next;
        loop_not_at_exit(loop, exit);
        exit->run(exit);
    }
    take_next(loop);
    run_deferred(loop);
    uv_run(&loop->uv, UV_RUN_DEFAULT); /* the close callbacks */
    run_deferred(loop);
    int error = uv_loop_close(&loop->uv);
    assert(error == 0); /* somebody left a handle open */
    close_watches(loop);
    pthread_mutex_destroy(&loop->mutex);
    free(loop);
}
