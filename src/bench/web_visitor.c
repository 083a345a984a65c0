#include "bench/web_visitor.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench/web_service.h"
#include "net/conn.h"

void web_way_ask(struct web_way *way, const char *host, bool close)
{
    snprintf(way->request, sizeof(way->request), "GET / HTTP/1.1\r\nHost: %s\r\n%s\r\n", host,
             close ? "Connection: close\r\n" : "");
}

void web_way_ask_socket(struct web_way *way, const char *host)
{
    snprintf(way->request, sizeof(way->request),
             "GET / HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " WEB_SOCKET_KEY "\r\n\r\n",
             host);
}

static void lose(struct web_visitor *visitor, const char *error)
{
    char kept[256]; /* it may be the connection's own */
    snprintf(kept, sizeof(kept), "%s", error);
    web_visitor_close(visitor);
    visitor->callbacks->on_lost(visitor, kept);
}

void web_visitor_ask(struct web_visitor *visitor)
{
    const char *request = visitor->way->request;
    size_t size = strlen(request);
    web_answer_init(&visitor->answer, visitor->way->body, visitor->way->body_size);
    visitor->answered = false;
    visitor->first = 0;
    visitor->asked = client_now();
    /* A request fits into a socket that has nothing else to send. */
    if (conn_write(visitor->conn, request, size) != (ssize_t)size) {
        lose(visitor, "the request could not be sent");
    }
}

int web_visitor_send(struct web_visitor *visitor, const void *bytes, size_t length)
{
    return visitor->conn && conn_write(visitor->conn, bytes, length) == (ssize_t)length ? 0 : -1;
}

/* One answer of what came, or a part of one. False: the connection isn't what it was. */
static bool take(struct web_visitor *visitor, const uint8_t *bytes, size_t length,
                 size_t *ret_taken)
{
    struct conn *conn = visitor->conn;
    if (visitor->upgraded) {
        *ret_taken = length;
        if (visitor->callbacks->on_bytes) {
            visitor->callbacks->on_bytes(visitor, bytes, length);
        }
        return visitor->conn == conn;
    }
    if (visitor->answered) {
        lose(visitor, "bytes that nobody asked for");
        return false;
    }
    if (!visitor->first) {
        visitor->first = client_now();
    }
    enum web_result result = web_answer_feed(&visitor->answer, bytes, length, ret_taken);
    if (result == WEB_BAD) {
        lose(visitor, visitor->answer.fault);
        return false;
    }
    if (result == WEB_DONE) {
        visitor->answered = true;
        visitor->upgraded = visitor->answer.status == 101;
        visitor->callbacks->on_answer(visitor);
    }
    return visitor->conn == conn;
}

static void on_readable(struct conn *conn)
{
    struct web_visitor *visitor = conn_user(conn);
    uint8_t *input = visitor->way->client->input;
    ssize_t got;
    while ((got = conn_read(conn, input, CLIENT_CHUNK)) > 0) {
        /* on_answer may ask again, but what that brings is read later than this. */
        for (size_t at = 0, taken = 0; at < (size_t)got; at += taken) {
            if (!take(visitor, input + at, (size_t)got - at, &taken)) {
                return;
            }
        }
    }
    if (got == CONN_END) {
        lose(visitor, visitor->answered ? "closed after the answer" : "closed before the answer");
    } else if (got < 0) {
        lose(visitor, conn_error_text(conn));
    }
}

static int start_tls(struct web_visitor *visitor)
{
    visitor->tls_started = true;
    return conn_start_tls_client(visitor->conn, visitor->way->tls, visitor->way->name, NULL);
}

static void on_ready(struct conn *conn)
{
    struct web_visitor *visitor = conn_user(conn);
    if (visitor->way->tls && !visitor->tls_started) {
        if (start_tls(visitor) < 0) {
            lose(visitor, "TLS can't be started");
        }
        return;
    }
    visitor->ready = true;
    web_visitor_ask(visitor);
}

static void on_writable(struct conn *conn)
{
    (void)conn;
}

static void on_failed(struct conn *conn)
{
    lose(conn_user(conn), conn_error_text(conn));
}

static const struct conn_callbacks conn_callbacks = {
    .on_ready = on_ready,
    .on_readable = on_readable,
    .on_writable = on_writable,
    .on_failed = on_failed,
};

int web_visitor_open(struct web_visitor *visitor, const struct web_way *way,
                     const struct web_visitor_callbacks *callbacks)
{
    void *user = visitor->user;
    *visitor = (struct web_visitor){
        .way = way, .callbacks = callbacks, .user = user, .began = client_now()};
    struct loop *loop = way->client->loop;
    if (!way->many_sources) {
        return conn_connect(loop, &way->to, &conn_callbacks, visitor, &visitor->conn) < 0 ? -1 : 0;
    }
    int fd = client_connect_from_many(way->client, &way->to);
    if (fd < 0) {
        return -1;
    }
    if (conn_open(loop, fd, &conn_callbacks, visitor, &visitor->conn) < 0) {
        close(fd);
        return -1;
    }
    if (!way->tls) {
        visitor->ready = true;
        const char *request = way->request;
        web_answer_init(&visitor->answer, way->body, way->body_size);
        visitor->asked = client_now();
        if (conn_write(visitor->conn, request, strlen(request)) == (ssize_t)strlen(request)) {
            return 0;
        }
    } else if (start_tls(visitor) == 0) {
        return 0;
    }
    web_visitor_close(visitor);
    return -1;
}

void web_visitor_close(struct web_visitor *visitor)
{
    conn_abort(visitor->conn);
    visitor->conn = NULL;
}
