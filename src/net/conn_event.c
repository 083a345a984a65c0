/* What a connection makes of its socket's events, and what of that its owner is told. */
#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>

#include "net/conn_internal.h"

#define GONE_EVENTS (EPOLLRDHUP | EPOLLHUP | EPOLLERR)
#define READ_EVENTS (EPOLLIN | GONE_EVENTS)

void conn_tell_failed(struct conn *conn)
{
    if (!conn->callbacks || conn->fail_told)
        return;
    conn->fail_told = true;
    conn->callbacks->on_failed(conn);
}

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
static void handle_events(struct conn *conn, uint32_t events)
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

static void tell_ready(struct conn *conn)
{
    conn->state = CONN_OPEN;
    conn->blocked = false;
    if (conn->callbacks)
        conn->callbacks->on_ready(conn);
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
    tell_ready(conn);
    if (conn->state == CONN_OPEN && events & READ_EVENTS)
        handle_events(conn, events & READ_EVENTS);
}

void conn_on_events(struct watch *watch, uint32_t events)
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
        handle_events(conn, events);
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

void conn_announce(struct loop_deferred *deferred)
{
    struct conn *conn = (struct conn *)(void *)((char *)deferred - offsetof(struct conn, deferred));
    if (conn->state == CONN_HANDSHAKING) {
        conn_tls_step(conn);
    } else if (conn->state == CONN_CONNECTING && conn->write_failed) {
        conn_tell_failed(conn);
    } else if (conn->state == CONN_CONNECTING) {
        tell_ready(conn);
    } else if (conn->state == CONN_OPEN) {
        if (conn->readable && !conn->ended && !conn->read_failed)
            tell_readable(conn);
        if (conn->state == CONN_OPEN && conn->hung_up)
            tell_hangup(conn, true);
    }
}
