#include "net/acceptor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <uv.h>

#include "base/log.h"
#include "net/timer.h"

/* Per turn, so that a flood of visitors leaves the tunnels their time. */
#define ACCEPTS_A_TURN 64
#define RETRY_TIME     100000 /* microseconds */

struct acceptor {
    uv_poll_t poll;
    struct timer retry;
    struct loop_deferred exclude;
    struct loop *loop;
    struct listening *listening; /* NULL: closed */
    acceptor_on_accept *on_accept;
    void *user;
    bool is_shared;
};

static void on_ready(uv_poll_t *poll, int status, int events);

/* Woken for one connection shall be one loop. libuv has no word for EPOLLEXCLUSIVE, and it says
 * nothing in an epoll that libuv's only watches (net/watch.h): nobody waits in that one, so the
 * kernel would go on to the next loop's. So what libuv has added to its own, in the poll that
 * follows uv_poll_start(), is added once more. Until then every loop is woken, at worst for
 * nothing. */
static void exclude(struct loop_deferred *deferred)
{
    struct acceptor *acceptor =
        (struct acceptor *)(void *)((char *)deferred - offsetof(struct acceptor, exclude));
    int epoll = uv_backend_fd(loop_uv(acceptor->loop)), fd = acceptor->listening->fd;
    struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE, .data.fd = fd};
    if (epoll_ctl(epoll, EPOLL_CTL_DEL, fd, &event) < 0) {
        loop_defer_next(acceptor->loop, deferred); /* not yet */
        return;
    }
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0)
        return;
    /* It was in there just now, so it is memory that the kernel lacks. */
    uv_poll_stop(&acceptor->poll);
    timer_start(&acceptor->retry, loop_now(acceptor->loop) + RETRY_TIME);
}

static void start(struct acceptor *acceptor)
{
    uv_poll_start(&acceptor->poll, UV_READABLE, on_ready);
    if (acceptor->is_shared)
        loop_defer_next(acceptor->loop, &acceptor->exclude);
}

static void stop(struct acceptor *acceptor)
{
    uv_poll_stop(&acceptor->poll);
    loop_undefer(acceptor->loop, &acceptor->exclude);
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
    timer_start(&acceptor->retry, loop_now(acceptor->loop) + RETRY_TIME);
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

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct acceptor *acceptor = poll->data;
    if (atomic_load(&acceptor->listening->is_stopped))
        stop(acceptor); /* whoever stopped it will close us */
    else
        acceptor_accept_waiting(acceptor);
}

static void on_retry(struct timer *timer)
{
    start((struct acceptor *)(void *)((char *)timer - offsetof(struct acceptor, retry)));
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
    acceptor->poll.data = acceptor;
    acceptor->exclude.run = exclude;
    timer_init(&acceptor->retry, loop, on_retry);
    /* makes it non-blocking, too */
    int error = uv_poll_init(loop_uv(loop), &acceptor->poll, listening->fd);
    if (error < 0) {
        free(acceptor);
        return error;
    }
    start(acceptor);
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

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void acceptor_close(struct acceptor *acceptor)
{
    if (!acceptor)
        return;
    struct listening *listening = acceptor->listening;
    timer_stop(&acceptor->retry);
    loop_undefer(acceptor->loop, &acceptor->exclude);
    acceptor->listening = NULL;
    uv_close((uv_handle_t *)&acceptor->poll, on_closed); /* before close(2): it uses the number */
    listening_unref(listening);
}
