#include "net/acceptor.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "base/log.h"
#include "net/timer.h"

/* Per turn, so that a flood of visitors leaves the tunnels their time. */
#define ACCEPTS_A_TURN 64
#define RETRY_TIME     100000 /* microseconds */
#define BACKLOG        4096   /* the kernel cuts it to net.core.somaxconn */

struct acceptor {
    uv_poll_t poll;
    struct timer retry;
    acceptor_on_accept *on_accept;
    void *user;
    int fd;          /* -1: closed */
    bool is_starved; /* out of descriptors, and logged */
};

static void on_ready(uv_poll_t *poll, int status, int events);

/* Descriptors and kernel memory come back by themselves; polling meanwhile would spin. */
static void starve(struct acceptor *acceptor, int error)
{
    if (!acceptor->is_starved)
        log_write(LOG_ERROR,
                  LOG_FIELDS(LOG_NUMBER("socket", acceptor->fd),
                             LOG_TEXT("error", strerrorname_np(error))),
                  "can't accept connections, trying again every 100 ms");
    acceptor->is_starved = true;
    uv_poll_stop(&acceptor->poll);
    timer_start(&acceptor->retry, loop_now(acceptor->retry.loop) + RETRY_TIME);
}

/* False when there is nothing more to accept now. */
static bool accept_one(struct acceptor *acceptor)
{
    union address peer;
    socklen_t size = sizeof peer;
    memset(&peer, 0, sizeof peer);
    int fd = accept4(acceptor->fd, &peer.any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        acceptor->on_accept(acceptor, fd, &peer, acceptor->user);
        return acceptor->fd >= 0;
    }
    switch (errno) {
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
    case EBADF: /* these three: an adopted socket that doesn't listen */
    case EINVAL:
    case ENOTSOCK:
        starve(acceptor, errno);
        return false;
    case EAGAIN:
        acceptor->is_starved = false;
        return false;
    default: /* of the one connection (accept(2): ECONNABORTED, EPERM, and what the network left on
                it) */
        return true;
    }
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct acceptor *acceptor = poll->data;
    for (int i = 0; i < ACCEPTS_A_TURN && accept_one(acceptor); i++)
        ;
}

static void on_retry(struct timer *timer)
{
    struct acceptor *acceptor =
        (struct acceptor *)(void *)((char *)timer - offsetof(struct acceptor, retry));
    uv_poll_start(&acceptor->poll, UV_READABLE, on_ready);
}

int acceptor_adopt(struct loop *loop, int fd, acceptor_on_accept *on_accept, void *user,
                   struct acceptor **ret_acceptor)
{
    struct acceptor *acceptor = calloc(1, sizeof *acceptor);
    int on = 1;
    if (!acceptor)
        return -ENOMEM;
    acceptor->fd = fd;
    acceptor->on_accept = on_accept;
    acceptor->user = user;
    acceptor->poll.data = acceptor;
    timer_init(&acceptor->retry, loop, on_retry);
    int error = uv_poll_init(loop_uv(loop), &acceptor->poll, fd); /* makes it non-blocking, too */
    if (error < 0) {
        free(acceptor);
        return error;
    }
    /* accepted sockets inherit it: one system call less for each */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    uv_poll_start(&acceptor->poll, UV_READABLE, on_ready);
    *ret_acceptor = acceptor;
    return 0;
}

static int listen_on(int fd, const union address *address)
{
    int on = 1, off = 0;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        return -errno;
    /* one socket for both families, whatever net.ipv6.bindv6only says */
    if (address->any.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&address->v6.sin6_addr) &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) < 0)
        return -errno;
    if (bind(fd, &address->any, address_size(address)) < 0 || listen(fd, BACKLOG) < 0)
        return -errno;
    return 0;
}

int acceptor_open(struct loop *loop, const union address *address, acceptor_on_accept *on_accept,
                  void *user, struct acceptor **ret_acceptor)
{
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int error = listen_on(fd, address);
    if (error == 0)
        error = acceptor_adopt(loop, fd, on_accept, user, ret_acceptor);
    if (error < 0)
        close(fd);
    return error;
}

void acceptor_address(const struct acceptor *acceptor, union address *ret_address)
{
    socklen_t size = sizeof *ret_address;
    memset(ret_address, 0, sizeof *ret_address);
    (void)getsockname(acceptor->fd, &ret_address->any, &size);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void acceptor_close(struct acceptor *acceptor)
{
    if (!acceptor)
        return;
    int fd = acceptor->fd;
    timer_stop(&acceptor->retry);
    acceptor->fd = -1;
    uv_close((uv_handle_t *)&acceptor->poll, on_closed); /* before close(2): it uses the number */
    close(fd);
}
