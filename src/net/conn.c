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

#define KEEPALIVE_SECONDS 60
/* An unacknowledged tunnel is dead after this; keepalive's probes count, too (RFC 5482). */
#define USER_TIMEOUT_MS 120000
/* Two records: what waits unsent in the kernel is what a small frame has to queue behind. */
#define NOTSENT_LOWAT 32768

#define GONE_EVENTS (EPOLLRDHUP | EPOLLHUP | EPOLLERR)
#define READ_EVENTS (EPOLLIN | GONE_EVENTS)

static void set_option(int fd, int level, int name, int value)
{
    (void)setsockopt(fd, level, name, &value, sizeof value);
}

/* --- failures
 * ------------------------------------------------------------------------------------------------
 */

ssize_t conn_fail(struct conn *conn, int error, bool read, bool write)
{
    if (!conn->error)
        conn->error = error;
    conn->read_failed |= read;
    conn->write_failed |= write;
    return CONN_FAILED;
}

void conn_tell_failed(struct conn *conn)
{
    if (!conn->callbacks || conn->fail_told)
        return;
    conn->fail_told = true;
    conn->callbacks->on_failed(conn);
}

/* --- the socket
 * ---------------------------------------------------------------------------------------------- */

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
            set_option(conn->watch.fd, IPPROTO_TCP, TCP_QUICKACK, 1);
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

/* --- reading and writing
 * --------------------------------------------------------------------------------------- */

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

/* --- events
 * --------------------------------------------------------------------------------------------------
 */

static void tell_readable(struct conn *conn)
{
    conn->readable = true;
    if (conn->callbacks)
        conn->callbacks->on_readable(conn);
}

/* The error is taken from the socket, so that the owner can tell RST from FIN; reading reports it
 * at the end. */
static void take_socket_error(struct conn *conn)
{
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(conn->watch.fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error &&
        !conn->error)
        conn->error = -error;
}

static void tell_hangup(struct conn *conn, bool is_error)
{
    if (!conn->callbacks || conn->hangup_told || conn->read_failed)
        return;
    if (is_error)
        take_socket_error(conn);
    if (conn->ended ? !conn->error : !conn->readable) /* the owner knows, or will by reading */
        return;
    conn->hangup_told = true;
    if (conn->callbacks->on_hangup)
        conn->callbacks->on_hangup(conn);
}

static void handle_writable(struct conn *conn)
{
    conn->blocked = false;
    if (conn->ssl && conn_tls_flush(conn) == CONN_FAILED) {
        conn_tell_failed(conn);
        return;
    }
    if (conn->blocked)
        return;
    if (conn->read_blocked) {
        conn->read_blocked = false;
        tell_readable(conn);
        if (conn_is_over(conn))
            return;
    }
    if (conn->callbacks && !conn->shut && !conn->blocked)
        conn->callbacks->on_writable(conn);
}

/* Reading goes first: a peer may have answered before it closed, and then writing fails. */
void conn_handle_events(struct conn *conn, uint32_t events)
{
    if (events & READ_EVENTS && !conn->readable && !conn->ended && !conn->read_failed)
        tell_readable(conn);
    if (conn->state == CONN_OPEN && events & GONE_EVENTS)
        tell_hangup(conn, events & EPOLLERR);
    if (conn->state != CONN_OPEN)
        return;
    if (conn->blocked && events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
        handle_writable(conn);
}

static void handle_connected(struct conn *conn, uint32_t events)
{
    if (conn->write_failed)
        return;
    if (events & (EPOLLERR | EPOLLHUP)) {
        take_socket_error(conn);
        conn_fail(conn, conn->error ? conn->error : -ECONNRESET, true, true);
        conn_tell_failed(conn);
        return;
    }
    if (!(events & EPOLLOUT))
        return;
    conn->state = CONN_OPEN;
    conn->blocked = false;
    if (conn->callbacks)
        conn->callbacks->on_ready(conn);
    if (conn->state == CONN_OPEN && events & READ_EVENTS)
        conn_handle_events(conn, events & READ_EVENTS);
}

static void on_events(struct watch *watch, uint32_t events)
{
    _Static_assert(offsetof(struct conn, watch) == 0, "the watch is the connection's head");
    struct conn *conn = (struct conn *)watch;
    if (events & READ_EVENTS)
        conn->drained = false;
    if (events & GONE_EVENTS)
        conn->hung_up = true;
    switch (conn->state) {
    case CONN_CONNECTING:
        handle_connected(conn, events);
        break;
    case CONN_OPEN:
        conn_handle_events(conn, events);
        break;
    case CONN_HANDSHAKING:
        conn_tls_step(conn);
        break;
    case CONN_LINGERING:
        conn_linger_events(conn);
        break;
    default:
        break;
    }
}

/* What was known before the owner could be told: left-overs, a new owner's news, a connect that
 * failed at once. */
static void announce(struct loop_deferred *deferred)
{
    struct conn *conn = (struct conn *)(void *)((char *)deferred - offsetof(struct conn, deferred));
    if (conn->state == CONN_HANDSHAKING) {
        conn_tls_step(conn);
    } else if (conn->state == CONN_CONNECTING) {
        conn_tell_failed(conn);
    } else if (conn->state == CONN_OPEN) {
        if (conn->readable && !conn->ended && !conn->read_failed)
            tell_readable(conn);
        if (conn->state == CONN_OPEN && conn->hung_up)
            tell_hangup(conn, true);
    }
}

/* --- life
 * ----------------------------------------------------------------------------------------------------
 */

static struct conn *new_conn(struct loop *loop, const struct conn_callbacks *callbacks, void *user)
{
    struct conn *conn = calloc(1, sizeof *conn);
    if (!conn)
        return NULL;
    conn->watch.run = on_events;
    conn->watch.fd = -1;
    conn->loop = loop;
    conn->callbacks = callbacks;
    conn->user = user;
    conn->deferred.run = announce;
    return conn;
}

int conn_open(struct loop *loop, int fd, const struct conn_callbacks *callbacks, void *user,
              struct conn **ret_conn)
{
    int on = 1;
    if (ioctl(fd, FIONBIO, &on) < 0)
        return -errno;
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
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

/* An error of connect(2) is news about the address, so it comes by on_failed as the others do. */
static int begin_connect(struct conn *conn, int fd, const union address *address)
{
    int error = 0;
    if (connect(fd, &address->any, address_size(address)) < 0 && errno != EINPROGRESS &&
        errno != EINTR) {
        conn_fail(conn, -errno, true, true);
        loop_defer(conn->loop, &conn->deferred);
        conn->watch.fd = -1;
        close(fd);
        return 0;
    }
    conn->blocked = true;
    error = watch_add(conn->loop, &conn->watch, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
    if (error < 0)
        close(fd);
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
        set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
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
    conn->left = NULL;
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

/* --- options and facts
 * ----------------------------------------------------------------------------------------- */

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

void conn_set_tunnel_options(struct conn *conn)
{
    int fd = conn->watch.fd;
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_SECONDS);
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_SECONDS / 4);
    set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS);
    set_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, NOTSENT_LOWAT);
}

void conn_set_quickack(struct conn *conn, bool on)
{
    conn->quickack = on;
    if (on)
        set_option(conn->watch.fd, IPPROTO_TCP, TCP_QUICKACK, 1);
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
    return (conn->left ? conn->left->size - conn->left->at : 0) + conn->pending;
}
