/* A connection's owner, its socket's options, and facts about it. */
#include <assert.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "net/conn_internal.h"

#define KEEPALIVE_SECONDS 60
/* Who acknowledges nothing is dead after this; keepalive's probes count, too (RFC 5482). */
#define USER_TIMEOUT_MS 120000
/* Two records: what waits unsent in the kernel is what a small frame has to queue behind. */
#define NOTSENT_LOWAT 32768

void conn_set_option(int fd, int level, int name, int value)
{
    (void)setsockopt(fd, level, name, &value, sizeof value);
}

void conn_set_callbacks(struct conn *conn, const struct conn_callbacks *callbacks, void *user)
{
    assert(!conn_is_over(conn));
    conn->callbacks = callbacks;
    conn->user = user;
    if (callbacks && conn->state == CONN_OPEN && conn->readable)
        loop_defer(conn->loop, &conn->deferred);
}

void *conn_user(const struct conn *conn)
{
    return conn->user;
}

struct loop *conn_loop(const struct conn *conn)
{
    return conn->loop;
}

int conn_fd(const struct conn *conn)
{
    return conn->watch.fd;
}

void conn_set_keepalive(int fd)
{
    conn_set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    conn_set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_SECONDS);
    conn_set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_SECONDS / 4);
    conn_set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS);
}

void conn_set_tunnel_options(struct conn *conn)
{
    int fd = conn->watch.fd;
    conn_set_keepalive(fd);
    conn_set_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, NOTSENT_LOWAT);
}

void conn_set_quickack(struct conn *conn, bool on)
{
    conn->quickack = on;
    if (on)
        conn_set_option(conn->watch.fd, IPPROTO_TCP, TCP_QUICKACK, 1);
}

bool conn_peer_address(const struct conn *conn, union address *ret_address)
{
    union address address;
    socklen_t size = sizeof address;
    memset(&address, 0, sizeof address);
    if (getpeername(conn->watch.fd, &address.any, &size) < 0 ||
        (address.any.sa_family != AF_INET && address.any.sa_family != AF_INET6))
        return false;
    *ret_address = address;
    return true;
}

size_t conn_buffered(const struct conn *conn)
{
    const struct conn_left *left = conn->left, *out = conn->out;
    return (left ? left->size - left->at : 0) + (out ? out->size - out->at : 0) + conn->pending;
}
