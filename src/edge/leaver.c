#include "edge/leaver.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#include "net/timer.h"

/* A service that doesn't answer a FIN with its own in this time is cut off. */
#define LEAVE_TIME UINT64_C(2000000)
/* Each holds a substream, of which an agent has a limited number. */
#define LEAVERS_MAX 1024

struct leaver {
    struct leaver *next, *previous;
    struct leavers *leavers;
    struct inbound *inbound;
    struct timer timer;
    struct loop_deferred deferred; /* frees it at the end of the turn */
};

static void free_leaver(struct loop_deferred *deferred)
{
    free((char *)deferred - offsetof(struct leaver, deferred));
}

static void leave(struct leaver *leaver, bool orderly)
{
    struct leavers *leavers = leaver->leavers;
    if (orderly)
        leaver->inbound->ops->close(leaver->inbound);
    else
        leaver->inbound->ops->abort(leaver->inbound);
    if (leaver->previous)
        leaver->previous->next = leaver->next;
    else
        leavers->first = leaver->next;
    if (leaver->next)
        leaver->next->previous = leaver->previous;
    leavers->count--;
    timer_stop(&leaver->timer);
    leaver->deferred.run = free_leaver;
    loop_defer(leavers->loop, &leaver->deferred);
}

static void on_timer(struct timer *timer)
{
    leave((struct leaver *)(void *)((char *)timer - offsetof(struct leaver, timer)), false);
}

static void on_connected(void *user)
{
    /* Nobody waits for it. */
}

static void on_data(void *user, const void *bytes, size_t length)
{
    struct leaver *leaver = user;
    leaver->inbound->ops->consume(leaver->inbound, length);
}

static void on_end(void *user)
{
    leave(user, true);
}

static size_t on_pull(void *user, void *buffer, size_t capacity)
{
    return 0;
}

static void on_gone(void *user, const char *code, const char *message)
{
    leave(user, true);
}

static const struct inbound_callbacks callbacks = {
    .on_connected = on_connected,
    .on_data = on_data,
    .on_end = on_end,
    .on_pull = on_pull,
    .on_gone = on_gone,
};

void leavers_init(struct leavers *leavers, struct loop *loop)
{
    *leavers = (struct leavers){.loop = loop};
}

void leavers_take(struct leavers *leavers, struct inbound *inbound)
{
    struct leaver *leaver = leavers->count < LEAVERS_MAX ? calloc(1, sizeof *leaver) : NULL;
    if (!leaver) {
        inbound->ops->abort(inbound);
        return;
    }
    leaver->leavers = leavers;
    leaver->inbound = inbound;
    leaver->next = leavers->first;
    if (leavers->first)
        leavers->first->previous = leaver;
    leavers->first = leaver;
    leavers->count++;
    inbound->callbacks = &callbacks;
    inbound->user = leaver;
    timer_init(&leaver->timer, leavers->loop, on_timer);
    timer_start(&leaver->timer, loop_now(leavers->loop) + LEAVE_TIME);
}

void leavers_stop(struct leavers *leavers)
{
    while (leavers->first)
        leave(leavers->first, false);
}
