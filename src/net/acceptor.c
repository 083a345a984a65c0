#include "net/acceptor.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "net/timer.h"
#include "net/watch.h"

/* Per turn, so that a flood of visitors leaves the tunnels their time. */
#define ACCEPTS_A_TURN 64
#define RETRY_TIME     100000 /* microseconds */

struct acceptor {
    struct watch watch; /* by level: a turn may leave some that wait */
    struct timer retry;
    struct loop_deferred freeing; /* what closes it may be called from within it */
    struct loop *loop;
    struct listening *listening; /* NULL: closed */
    acceptor_on_accept *on_accept;
    void *user;
    bool is_shared;
};

/* Woken for one connection shall be one loop of those that share the socket. */
static int start(struct acceptor *acceptor)
{
    uint32_t events = EPOLLIN | (acceptor->is_shared ? EPOLLEXCLUSIVE : 0);
    return watch_add(acceptor->loop, &acceptor->watch, acceptor->listening->fd, events);
}

static void stop(struct acceptor *acceptor)
{
    watch_remove(acceptor->loop, &acceptor->watch);
}

static void retry_later(struct acceptor *acceptor)
{
    timer_start(&acceptor->retry, loop_now(acceptor->loop) + RETRY_TIME);
}

/* Descriptors and kernel memory come back by themselves; polling meanwhile would spin. */
static void starve(struct acceptor *acceptor, int error)
{
    struct listening *listening = acceptor->listening;
    stop(acceptor);
    if (atomic_load(&listening->is_stopped))
        return;
    if (!atomic_exchange(&listening->is_starved, true))
        log_write(LOG_ERROR,
                  LOG_FIELDS(LOG_NUMBER("socket", listening->fd),
                             LOG_TEXT("error", strerrorname_np(error))),
                  "can't accept connections, trying again every 100 ms");
    retry_later(acceptor);
}

/* False when there is nothing more to accept now. */
static bool accept_one(struct acceptor *acceptor)
{
    union address peer;
    socklen_t size = sizeof peer;
    memset(&peer, 0, sizeof peer);
    int fd = accept4(acceptor->listening->fd, &peer.any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        acceptor->on_accept(acceptor, fd, &peer, acceptor->user);
        return acceptor->listening != NULL;
    }
    switch (errno) {
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
    case EBADF: /* these three: a socket that was stopped, or an adopted one that doesn't listen */
    case EINVAL:
    case ENOTSOCK:
        starve(acceptor, errno);
        return false;
    case EAGAIN:
        if (atomic_load_explicit(&acceptor->listening->is_starved, memory_order_relaxed))
            atomic_store(&acceptor->listening->is_starved, false);
        return false;
    default: /* of the one connection (accept(2): ECONNABORTED, EPERM, and what the network left on
                it) */
        return true;
    }
}

void acceptor_accept_waiting(struct acceptor *acceptor)
{
    for (int i = 0; i < ACCEPTS_A_TURN && accept_one(acceptor); i++)
        ;
}

static void on_ready(struct watch *watch, uint32_t events)
{
    struct acceptor *acceptor =
        (struct acceptor *)(void *)((char *)watch - offsetof(struct acceptor, watch));
    if (atomic_load(&acceptor->listening->is_stopped))
        stop(acceptor); /* whoever stopped it will close us */
    else
        acceptor_accept_waiting(acceptor);
}

static void on_retry(struct timer *timer)
{
    struct acceptor *acceptor =
        (struct acceptor *)(void *)((char *)timer - offsetof(struct acceptor, retry));
    if (start(acceptor) < 0)
        retry_later(acceptor);
}

static void run_free(struct loop_deferred *deferred)
{
    free((char *)deferred - offsetof(struct acceptor, freeing));
}

/* Takes the reference, unless it fails. */
static int make(struct loop *loop, struct listening *listening, bool is_shared,
                acceptor_on_accept *on_accept, void *user, struct acceptor **ret_acceptor)
{
    struct acceptor *acceptor = calloc(1, sizeof *acceptor);
    if (!acceptor)
        return -ENOMEM;
    acceptor->loop = loop;
    acceptor->listening = listening;
    acceptor->is_shared = is_shared;
    acceptor->on_accept = on_accept;
    acceptor->user = user;
    acceptor->watch = (struct watch){.run = on_ready, .fd = -1, .is_level = true};
    acceptor->freeing.run = run_free;
    timer_init(&acceptor->retry, loop, on_retry);
    int error = start(acceptor);
    if (error < 0) {
        free(acceptor);
        return error;
    }
    *ret_acceptor = acceptor;
    return 0;
}

int acceptor_share(struct loop *loop, struct listening *listening, acceptor_on_accept *on_accept,
                   void *user, struct acceptor **ret_acceptor)
{
    int error = make(loop, listening_ref(listening), true, on_accept, user, ret_acceptor);
    if (error < 0)
        listening_unref(listening);
    return error;
}

int acceptor_adopt(struct loop *loop, int fd, acceptor_on_accept *on_accept, void *user,
                   struct acceptor **ret_acceptor)
{
    struct listening *listening;
    int error = listening_adopt(fd, &listening);
    if (error < 0)
        return error;
    error = make(loop, listening, false, on_accept, user, ret_acceptor);
    if (error < 0) {
        listening->fd = -1; /* the caller's still */
        listening_unref(listening);
    }
    return error;
}

int acceptor_open(struct loop *loop, const union address *address, acceptor_on_accept *on_accept,
                  void *user, struct acceptor **ret_acceptor)
{
    struct listening *listening;
    int error = listening_open(address, &listening);
    if (error < 0)
        return error;
    error = make(loop, listening, false, on_accept, user, ret_acceptor);
    if (error < 0)
        listening_unref(listening);
    return error;
}

void acceptor_address(const struct acceptor *acceptor, union address *ret_address)
{
    listening_address(acceptor->listening, ret_address);
}

void acceptor_close(struct acceptor *acceptor)
{
    if (!acceptor)
        return;
    struct listening *listening = acceptor->listening;
    timer_stop(&acceptor->retry);
    stop(acceptor); /* not left to close(2), which others that share the socket put off */
    acceptor->listening = NULL;
    listening_unref(listening);
    loop_defer(acceptor->loop, &acceptor->freeing);
}
