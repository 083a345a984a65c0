#include "net/loop.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <uv.h>

#include "net/loop_internal.h"
#include "net/watch.h"
#include "net/wheel.h"

/* libuv's turn is: timers, prepare, poll (I/O, and the async handle among it), check. The deferred
 * run in prepare (what timers deferred, before the poll may block) and in check (what I/O and
 * messages deferred). */
struct loop {
    uv_loop_t uv;
    uv_timer_t timer;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_async_t async;
    uv_idle_t
        idle; /* active while something is deferred to the next turn: the poll doesn't wait then */
    struct watches *watches;
    struct wheel wheel;
    uint64_t armed; /* what `timer` is set to, UINT64_MAX when it is stopped */
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

static void on_idle(uv_idle_t *idle)
{
    /* Being active is all it is for. */
}

void loop_defer_next(struct loop *loop, struct loop_deferred *deferred)
{
    if (deferred->next)
        return;
    append(&loop->next, deferred);
    if (!uv_is_active((uv_handle_t *)&loop->idle))
        uv_idle_start(&loop->idle, on_idle);
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
    if (was_empty)
        uv_async_send(&loop->async);
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

static void on_async(uv_async_t *async)
{
    run_messages(async->data);
}

static void on_timer(uv_timer_t *timer)
{
    struct loop *loop = timer->data;
    loop->armed = UINT64_MAX;
    wheel_advance(&loop->wheel, loop_update_now(loop));
}

/* Once a turn, however many timers were moved in it: libuv's timer stands for the next slot of the
 * wheel. Its milliseconds are of the same clock as ours, rounded down, so the time is rounded up.
 */
static void arm_timer(struct loop *loop)
{
    uint64_t next = wheel_next(&loop->wheel);
    if (next == loop->armed)
        return;
    loop->armed = next;
    if (next == UINT64_MAX) {
        uv_timer_stop(&loop->timer);
        return;
    }
    uint64_t due = next / 1000 + (next % 1000 != 0), now = uv_now(&loop->uv);
    uv_timer_start(&loop->timer, on_timer, due > now ? due - now : 0, 0);
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct loop *loop = prepare->data;
    run_deferred(loop);
    arm_timer(loop);
    loop->now_is_old = true;
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

static void on_check(uv_check_t *check)
{
    struct loop *loop = check->data;
    take_next(loop);
    run_deferred(loop);
    if (loop->next.next == &loop->next)
        uv_idle_stop(&loop->idle);
}

/* After uv_loop_init(), none of these fails but for want of descriptors or memory. */
static int init_handles(struct loop *loop)
{
    int error = uv_async_init(&loop->uv, &loop->async, on_async);
    if (error < 0)
        return error;
    error = watches_new(loop, &loop->watches);
    if (error < 0) {
        uv_close((uv_handle_t *)&loop->async, NULL);
        uv_run(&loop->uv, UV_RUN_DEFAULT);
        return error;
    }
    uv_timer_init(&loop->uv, &loop->timer);
    uv_prepare_init(&loop->uv, &loop->prepare);
    uv_check_init(&loop->uv, &loop->check);
    uv_idle_init(&loop->uv, &loop->idle);
    loop->async.data = loop->timer.data = loop->prepare.data = loop->check.data = loop;
    uv_prepare_start(&loop->prepare, on_prepare);
    uv_check_start(&loop->check, on_check);
    return 0;
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
    loop->deferred.next = loop->deferred.previous = &loop->deferred;
    loop->next.next = loop->next.previous = &loop->next;
    loop->exits.next = loop->exits.previous = &loop->exits;
    loop->last_message = &loop->first_message;
    loop->armed = UINT64_MAX;
    pthread_mutex_init(&loop->mutex, NULL);
    wheel_init(&loop->wheel, loop_update_now(loop));
    error = init_handles(loop);
    if (error < 0) {
        uv_loop_close(&loop->uv);
        pthread_mutex_destroy(&loop->mutex);
        free(loop);
        return error;
    }
    *ret_loop = loop;
    return 0;
}

void loop_run(struct loop *loop)
{
    loop->now_is_old = true;
    uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void loop_stop(struct loop *loop)
{
    uv_stop(&loop->uv);
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
    uv_close((uv_handle_t *)&loop->timer, NULL);
    uv_close((uv_handle_t *)&loop->prepare, NULL);
    uv_close((uv_handle_t *)&loop->check, NULL);
    uv_close((uv_handle_t *)&loop->idle, NULL);
    uv_close((uv_handle_t *)&loop->async, NULL);
    watches_close(loop->watches);
    do /* a loop_stop() by one of the messages above ends the first run at once */
        uv_run(&loop->uv, UV_RUN_DEFAULT);
    while (uv_loop_alive(&loop->uv));
    run_deferred(loop);
    int error = uv_loop_close(&loop->uv);
    assert(error == 0); /* somebody left a handle open */
    watches_free(loop->watches);
    pthread_mutex_destroy(&loop->mutex);
    free(loop);
}
