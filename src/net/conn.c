#include "net/conn.h"

#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/conn_internal.h"

/* --- failures ------------------------------------------------------------- */

ssize_t conn_fail(struct conn *conn, int error, bool read, bool write)
{
    if (!conn->error)
        conn->error = error;
    conn->read_failed |= read;
    conn->write_failed |= write;
    return CONN_FAILED;
}

/* --- the socket ----------------------------------------------------------- */

static ssize_t take_left(struct conn *conn, void *buffer, size_t capacity)
{
    struct conn_left *left = conn->left;
    size_t size = left->size - left->at;
    if (size > capacity)
        size = capacity;
    memcpy(buffer, left->bytes + left->at, size);
    left->at += size;
    if (left->at == left->size) {
        free(left);
        conn->left = NULL;
    }
    return (ssize_t)size;
}

/* A stream socket that gave less than was asked for is empty, and the next bytes are a new event
 * (epoll(7)); only a FIN that came with the bytes is not, and then the event said so. It saves the
 * recv(2) that only finds EAGAIN. */
ssize_t conn_receive(struct conn *conn, void *buffer, size_t capacity)
{
    ssize_t n;
    if (conn->left)
        return take_left(conn, buffer, capacity);
    if (conn->drained) {
        errno = EAGAIN;
        return -1;
    }
    do
        n = recv(conn->watch.fd, buffer, capacity, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        conn->drained = true;
    if (n > 0) {
        conn->drained = (size_t)n < capacity && !conn->hung_up;
        if (conn->quickack)
            conn_set_option(conn->watch.fd, IPPROTO_TCP, TCP_QUICKACK, 1);
    }
    return n;
}

void conn_await_writable(struct conn *conn)
{
    conn->blocked = true;
    if (conn->watch.events & EPOLLOUT)
        return;
    /* it can only fail for want of kernel memory; then the socket is as good as dead */
    if (watch_extend(conn->loop, &conn->watch, EPOLLOUT) < 0)
        conn_fail(conn, -ENOMEM, true, true);
}

ssize_t conn_send(struct conn *conn, const void *bytes, size_t length)
{
    ssize_t n;
    do
        n = send(conn->watch.fd, bytes, length, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n >= 0 ? (size_t)n < length : errno == EAGAIN) {
        int saved_errno = errno;
        conn_await_writable(conn);
        errno = saved_errno;
    }
    return n;
}

void conn_send_fin(struct conn *conn)
{
    conn->shut_done = true;
    (void)shutdown(conn->watch.fd, SHUT_WR); /* ENOTCONN: then reading tells, too */
}

/* --- reading and writing -------------------------------------------------- */

static ssize_t raw_read(struct conn *conn, void *buffer, size_t capacity)
{
    ssize_t n = conn_receive(conn, buffer, capacity);
    if (n > 0)
        return n;
    if (n < 0 && errno == EAGAIN) {
        conn->readable = false;
        return CONN_WAIT;
    }
    if (n < 0)
        return conn_fail(conn, -errno, true, false);
    if (conn->error) /* an RST, whose error the event took */
        return conn_fail(conn, conn->error, true, true);
    conn->ended = true;
    return CONN_END;
}

ssize_t conn_read(struct conn *conn, void *buffer, size_t capacity)
{
    assert(conn->state == CONN_OPEN && capacity > 0);
    if (conn->read_failed)
        return CONN_FAILED;
    if (conn->ended)
        return CONN_END;
    return conn->ssl ? conn_tls_read(conn, buffer, capacity) : raw_read(conn, buffer, capacity);
}

static ssize_t raw_write(struct conn *conn, const void *bytes, size_t length)
{
    ssize_t n = conn_send(conn, bytes, length);
    if (n >= 0)
        return n;
    if (errno == EAGAIN)
        return conn->write_failed ? CONN_FAILED : CONN_WAIT;
    return conn_fail(conn, -errno, false, true);
}

ssize_t conn_write(struct conn *conn, const void *bytes, size_t length)
{
    assert(conn->state == CONN_OPEN && length > 0 && !conn->shut);
    if (conn->write_failed)
        return CONN_FAILED;
    if (conn->blocked)
        return CONN_WAIT;
    return conn->ssl ? conn_tls_write(conn, bytes, length) : raw_write(conn, bytes, length);
}

bool conn_can_write(const struct conn *conn)
{
    return !conn->blocked;
}

void conn_shutdown(struct conn *conn)
{
    assert(conn->state == CONN_OPEN);
    if (conn->shut)
        return;
    conn->shut = true;
    if (conn->write_failed)
        return;
    if (!conn->ssl || conn_tls_shutdown(conn))
        conn_send_fin(conn);
}

/* --- life ----------------------------------------------------------------- */

static struct conn *new_conn(struct loop *loop, const struct conn_callbacks *callbacks, void *user)
{
    struct conn *conn = calloc(1, sizeof *conn);
    if (!conn)
        return NULL;
    conn->watch.run = conn_on_events;
    conn->watch.fd = -1;
    conn->loop = loop;
    conn->callbacks = callbacks;
    conn->user = user;
    conn->deferred.run = conn_announce;
    return conn;
}

int conn_open(struct loop *loop, int fd, const struct conn_callbacks *callbacks, void *user,
              struct conn **ret_conn)
{
    int on = 1;
    if (ioctl(fd, FIONBIO, &on) < 0)
        return -errno;
    conn_set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    return conn_attach(loop, fd, NULL, 0, callbacks, user, ret_conn);
}

int conn_attach(struct loop *loop, int fd, const void *left, size_t left_size,
                const struct conn_callbacks *callbacks, void *user, struct conn **ret_conn)
{
    struct conn *conn = new_conn(loop, callbacks, user);
    if (!conn)
        return -ENOMEM;
    conn->state = CONN_OPEN;
    if (left_size) {
        conn->left = malloc(sizeof *conn->left + left_size);
        if (!conn->left) {
            free(conn);
            return -ENOMEM;
        }
        conn->left->at = 0;
        conn->left->size = left_size;
        memcpy(conn->left->bytes, left, left_size);
        conn->readable = true;
        loop_defer(loop, &conn->deferred);
    }
    int error = watch_add(loop, &conn->watch, fd, EPOLLIN | EPOLLRDHUP);
    if (error < 0) {
        loop_undefer(loop, &conn->deferred);
        free(conn->left);
        free(conn);
        return error;
    }
    *ret_conn = conn;
    return 0;
}

/* A handshake with a service on this machine is over when connect(2) returns, though it says
 * EINPROGRESS. */
static bool is_connected(int fd)
{
    union address address;
    socklen_t size = sizeof address;
    return getpeername(fd, &address.any, &size) == 0;
}

/* What is known at once of the address comes by a callback, as all else does: an error of
 * connect(2), and success. To hear of that from epoll would take another turn, and more events that
 * tell nothing. */
static int begin_connect(struct conn *conn, int fd, const union address *address)
{
    if (connect(fd, &address->any, address_size(address)) < 0 && errno != EINPROGRESS &&
        errno != EINTR) {
        conn_fail(conn, -errno, true, true);
        loop_defer(conn->loop, &conn->deferred);
        conn->watch.fd = -1;
        close(fd);
        return 0;
    }
    bool is_done = is_connected(fd);
    conn->blocked = !is_done;
    int error =
        watch_add(conn->loop, &conn->watch, fd, EPOLLIN | EPOLLRDHUP | (is_done ? 0 : EPOLLOUT));
    if (error < 0)
        close(fd);
    else if (is_done)
        loop_defer(conn->loop, &conn->deferred);
    return error;
}

int conn_connect(struct loop *loop, const union address *address,
                 const struct conn_callbacks *callbacks, void *user, struct conn **ret_conn)
{
    struct conn *conn = new_conn(loop, callbacks, user);
    if (!conn)
        return -ENOMEM;
    conn->state = CONN_CONNECTING;
    int error;
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        error = -errno;
    } else {
        conn_set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
        error = begin_connect(conn, fd, address);
    }
    if (error < 0) {
        free(conn);
        return error;
    }
    *ret_conn = conn;
    return 0;
}

static void free_conn(struct loop_deferred *deferred)
{
    free((char *)deferred - offsetof(struct conn, deferred));
}

void conn_release(struct conn *conn)
{
    int fd = conn->watch.fd;
    conn_linger_free(conn);
    conn_tls_free(conn);
    watch_forget(conn->loop, &conn->watch);
    if (fd >= 0)
        close(fd);
    free(conn->left);
    free(conn->out);
    conn->left = conn->out = NULL;
    conn->callbacks = NULL;
    conn->state = CONN_GONE;
    loop_undefer(conn->loop, &conn->deferred);
    conn->deferred.run = free_conn;
    loop_defer(conn->loop, &conn->deferred);
}

int conn_detach(struct conn *conn, int *ret_fd, void **ret_left, size_t *ret_left_size)
{
    void *bytes = NULL;
    size_t size = 0;
    if (conn->ssl || conn->state != CONN_OPEN)
        return -EOPNOTSUPP;
    if (conn->left) {
        size = conn->left->size - conn->left->at;
        bytes = malloc(size);
        if (!bytes)
            return -ENOMEM;
        memcpy(bytes, conn->left->bytes + conn->left->at, size);
    }
    *ret_fd = conn->watch.fd;
    *ret_left = bytes;
    *ret_left_size = size;
    watch_remove(conn->loop, &conn->watch);
    conn_release(conn);
    return 0;
}

void conn_close(struct conn *conn)
{
    if (!conn)
        return;
    assert(!conn_is_over(conn));
    loop_undefer(conn->loop, &conn->deferred);
    conn->callbacks = NULL;
    if (conn->state == CONN_CONNECTING)
        conn_release(conn);
    else
        conn_linger_start(conn);
}

void conn_abort(struct conn *conn)
{
    if (!conn)
        return;
    assert(!conn_is_over(conn));
    if (conn->watch.fd >= 0 && conn->state != CONN_CONNECTING) {
        struct linger linger = {.l_onoff = 1};
        (void)setsockopt(conn->watch.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    }
    conn_release(conn);
}
