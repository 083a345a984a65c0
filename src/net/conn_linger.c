/* The orderly end of a connection: what was taken goes out, then FIN; and until the peer's FIN, its
 * bytes are read and dropped, for a close(2) with unread bytes sends an RST, which destroys what
 * the peer hasn't read yet. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "net/conn_internal.h"
#include "net/timer.h"

#define SECOND UINT64_C(1000000)
/* Long enough for a round trip and a peer's last words, short enough for a flood of closes. */
#define DRAIN_TIME (2 * SECOND)
/* For the last record, when the kernel's queue towards a slow peer is full. */
#define FLUSH_TIME (30 * SECOND)
/* Per event, so that a peer that never stops doesn't hold the loop: 64 * 16 KiB. */
#define DRAIN_ROUNDS 64

struct conn_linger {
    struct conn *conn;
    struct timer timer;
    struct loop_exit exit;
    uint64_t deadline;
};

enum drained { DRAINED_ALL, DRAINED_MORE, DRAINED_END };

static enum drained drain(struct conn *conn)
{
    char buffer[16384];
    for (int i = 0; i < DRAIN_ROUNDS; i++) {
        ssize_t n = conn_receive(conn, buffer, sizeof buffer);
        if (n < 0 && errno == EAGAIN)
            return DRAINED_ALL;
        if (n < 0)
            conn_fail(conn, -errno, true, true);
        if (n <= 0)
            return DRAINED_END;
    }
    return DRAINED_MORE;
}

static void set_deadline(struct conn_linger *linger, uint64_t time)
{
    linger->deadline = loop_now(linger->conn->loop) + time;
    timer_start(&linger->timer, linger->deadline);
}

/* As long as there is an SSL, something of it is unsent. */
static void flush(struct conn *conn)
{
    conn->blocked = false;
    int result = conn_tls_flush(conn);
    if (result == CONN_FAILED || conn->shut_done) {
        conn_tls_free(conn);
        set_deadline(conn->linger, DRAIN_TIME);
    }
}

static void step(struct conn *conn)
{
    enum drained drained = DRAINED_ALL;
    if (conn->ssl)
        flush(conn);
    if (!conn->ended && !conn->read_failed)
        drained = drain(conn);
    if (drained == DRAINED_END)
        conn->ended = true;
    if (conn->read_failed || (conn->ended && !conn->ssl))
        conn_release(conn);
    else if (drained == DRAINED_MORE) /* the wheel's grain lets the others have their turn */
        timer_start(&conn->linger->timer, loop_now(conn->loop));
}

static void on_timer(struct timer *timer)
{
    struct conn_linger *linger =
        (struct conn_linger *)(void *)((char *)timer - offsetof(struct conn_linger, timer));
    if (loop_now(linger->conn->loop) >= linger->deadline) {
        conn_release(linger->conn);
        return;
    }
    timer_start(timer, linger->deadline);
    step(linger->conn);
}

static void on_loop_exit(struct loop_exit *exit)
{
    struct conn_linger *linger =
        (struct conn_linger *)(void *)((char *)exit - offsetof(struct conn_linger, exit));
    conn_release(linger->conn);
}

static int new_linger(struct conn *conn)
{
    struct conn_linger *linger = calloc(1, sizeof *linger);
    if (!linger)
        return -ENOMEM;
    linger->conn = conn;
    linger->exit.run = on_loop_exit;
    timer_init(&linger->timer, conn->loop, on_timer);
    loop_at_exit(conn->loop, &linger->exit);
    conn->linger = linger;
    return 0;
}

void conn_linger_start(struct conn *conn)
{
    bool tls_over = conn->state == CONN_HANDSHAKING || conn->write_failed;
    conn->state = CONN_LINGERING;
    conn->shut = true;
    if (conn->error == -EPROTO) /* TLS is broken, the socket isn't: an alert is on its way */
        conn->read_failed = false;
    if (conn->ssl && (tls_over || conn->shut_done || conn_tls_shutdown(conn)))
        conn_tls_free(conn);
    if (conn->read_failed || (conn->ended && !conn->ssl) || new_linger(conn) < 0) {
        conn_release(conn);
        return;
    }
    if (!conn->ssl && !conn->shut_done)
        conn_send_fin(conn);
    set_deadline(conn->linger, conn->ssl ? FLUSH_TIME : DRAIN_TIME);
    step(conn);
}

void conn_linger_events(struct conn *conn)
{
    step(conn);
}

void conn_linger_free(struct conn *conn)
{
    if (!conn->linger)
        return;
    timer_stop(&conn->linger->timer);
    if (conn->linger->exit.next)
        loop_not_at_exit(conn->loop, &conn->linger->exit);
    free(conn->linger);
    conn->linger = NULL;
}
