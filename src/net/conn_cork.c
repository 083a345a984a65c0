/* Records of one turn in one send(2): a wake-up of the peer and a walk through TCP for several
 * records instead of one each. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net/conn_internal.h"

/* Four full records with what TLS adds to each: as many as a bare relay makes of one recv(2) of
 * 64 KiB, and no more than 0.1 ms that the first of them waits for the others. */
#define CORK_SIZE (4 * (CONN_RECORD_MAX + 64))

/* One connection of a thread is corked at a time, so one buffer a thread is enough. */
static _Thread_local struct {
    const struct conn *conn;
    size_t size;
    unsigned char bytes[CORK_SIZE];
} cork;

/* What the socket didn't take waits with the connection; there is such a rest only while blocked.
 */
static int keep_rest(struct conn *conn, const unsigned char *bytes, size_t size)
{
    conn->out = malloc(sizeof *conn->out + size);
    if (!conn->out)
        return (int)conn_fail(conn, -ENOMEM, true, true);
    conn->out->at = 0;
    conn->out->size = size;
    memcpy(conn->out->bytes, bytes, size);
    return 0;
}

static int send_corked(struct conn *conn)
{
    size_t size = cork.size;
    cork.size = 0;
    if (size == 0)
        return 0;
    ssize_t n = conn_send(conn, cork.bytes, size);
    if (n < 0 && errno != EAGAIN)
        return (int)conn_fail(conn, -errno, false, true);
    size_t sent = n > 0 ? (size_t)n : 0;
    return sent < size ? keep_rest(conn, cork.bytes + sent, size - sent) : 0;
}

bool conn_cork_take(struct conn *conn, const void *bytes, size_t size)
{
    if (cork.conn != conn || size > CORK_SIZE)
        return false;
    if (cork.size + size > CORK_SIZE && (send_corked(conn) < 0 || conn->blocked))
        return false;
    memcpy(cork.bytes + cork.size, bytes, size);
    cork.size += size;
    return true;
}

int conn_flush_rest(struct conn *conn)
{
    struct conn_left *out = conn->out;
    if (!out)
        return 0;
    ssize_t n = conn_send(conn, out->bytes + out->at, out->size - out->at);
    if (n < 0)
        return errno == EAGAIN ? 0 : (int)conn_fail(conn, -errno, false, true);
    out->at += (size_t)n;
    if (out->at == out->size) {
        free(out);
        conn->out = NULL;
    }
    return 0;
}

void conn_cork(struct conn *conn)
{
    assert(!cork.conn && conn->state == CONN_OPEN);
    if (!conn->blocked)
        cork.conn = conn;
}

int conn_uncork(struct conn *conn)
{
    if (cork.conn != conn)
        return 0;
    int result = send_corked(conn);
    cork.conn = NULL;
    return conn->write_failed ? CONN_FAILED : result; /* it may have failed when it was full */
}
