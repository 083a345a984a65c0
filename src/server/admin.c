#include "server/admin.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "edge/http_date.h"
#include "net/acceptor.h"
#include "net/conn.h"
#include "net/timer.h"
#include "server/admin_request.h"
#include "server/metrics.h"

#define CLIENTS_MAX    32 /* a few collectors and an operator; each may hold a head and an answer */
#define CLIENT_TIMEOUT 5000000 /* microseconds: a collector on this machine needs milliseconds */

struct client {
    struct timer timer; /* first */
    struct admin *admin;
    struct conn *conn;
    struct client *next, **link;
    size_t head_length;
    char *answer; /* NULL while the request comes in */
    size_t answer_length, answer_sent;
    char head[ADMIN_REQUEST_HEAD_MAX];
};

struct admin {
    struct loop *loop;
    struct admin_options options;
    struct acceptor *acceptor;
    struct client *clients;
    int client_count;
    struct http_date date;
};

static void client_free(struct client *client)
{
    timer_stop(&client->timer);
    *client->link = client->next;
    if (client->next)
        client->next->link = client->link;
    client->admin->client_count--;
    free(client->answer);
    free(client);
}

static void client_close(struct client *client)
{
    conn_close(client->conn);
    client_free(client);
}

static void client_abort(struct client *client)
{
    conn_abort(client->conn);
    client_free(client);
}

static void on_time(struct timer *timer)
{
    client_abort((struct client *)timer);
}

static void write_on(struct client *client)
{
    while (client->answer_sent < client->answer_length) {
        ssize_t taken = conn_write(client->conn, client->answer + client->answer_sent,
                                   client->answer_length - client->answer_sent);
        if (taken == CONN_WAIT)
            return;
        if (taken < 0) {
            client_abort(client);
            return;
        }
        client->answer_sent += (size_t)taken;
    }
    client_close(client);
}

/* The answer as one malloced block; false without memory. */
static bool compose(struct client *client, const char *status, const char *type, const char *body,
                    size_t length)
{
    char head[256];
    int head_length =
        snprintf(head, sizeof head,
                 "HTTP/1.1 %s\r\nDate: %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s"
                 "Cache-Control: no-store\r\nConnection: close\r\n\r\n",
                 status, http_date_at(&client->admin->date, time(NULL)), type, length,
                 strncmp(status, "405", 3) == 0 ? "Allow: GET\r\n" : "");
    client->answer = malloc((size_t)head_length + length);
    if (!client->answer)
        return false;
    memcpy(client->answer, head, (size_t)head_length);
    memcpy(client->answer + head_length, body, length);
    client->answer_length = (size_t)head_length + length;
    return true;
}

static bool compose_text(struct client *client, const char *status, const char *text)
{
    return compose(client, status, "text/plain; charset=utf-8", text, strlen(text));
}

static bool compose_metrics(struct client *client)
{
    const struct admin_options *options = &client->admin->options;
    size_t length;
    char *text = metrics_text(options->counters, options->counters_count, &length);
    bool composed = text && compose(client, "200 OK", METRICS_CONTENT_TYPE, text, length);
    free(text);
    return composed;
}

static bool is_ready(const struct admin *admin)
{
    return !admin->options.is_ready || admin->options.is_ready(admin->options.user);
}

static void answer(struct client *client, enum admin_request request)
{
    bool composed = false;
    switch (request) {
    case ADMIN_REQUEST_METRICS:
        composed = compose_metrics(client);
        break;
    case ADMIN_REQUEST_HEALTH:
        composed = compose_text(client, "200 OK", "ok\n");
        break;
    case ADMIN_REQUEST_READY:
        composed = is_ready(client->admin)
                       ? compose_text(client, "200 OK", "ready\n")
                       : compose_text(client, "503 Service Unavailable", "not ready\n");
        break;
    case ADMIN_REQUEST_NOT_FOUND:
        composed = compose_text(client, "404 Not Found", "/metrics, /healthz or /readyz\n");
        break;
    case ADMIN_REQUEST_BAD_METHOD:
        composed = compose_text(client, "405 Method Not Allowed", "only GET\n");
        break;
    case ADMIN_REQUEST_TOO_LONG:
        composed = compose_text(client, "431 Request Header Fields Too Large", "too long\n");
        break;
    case ADMIN_REQUEST_BAD:
    case ADMIN_REQUEST_MORE: /* an end before the head's */
        composed = compose_text(client, "400 Bad Request", "bad request\n");
        break;
    }
    if (composed)
        write_on(client);
    else
        client_abort(client);
}

static void on_readable(struct conn *conn)
{
    struct client *client = conn_user(conn);
    if (client->answer)
        return; /* what comes after the request is left unread; conn_close() throws it away */
    for (;;) {
        ssize_t got = conn_read(conn, client->head + client->head_length,
                                sizeof client->head - client->head_length);
        if (got == CONN_WAIT)
            return;
        if (got == CONN_FAILED || (got == CONN_END && !client->head_length)) {
            client_abort(client);
            return;
        }
        enum admin_request request = ADMIN_REQUEST_MORE;
        if (got > 0) {
            client->head_length += (size_t)got;
            request = admin_request_parse(client->head, client->head_length);
        }
        if (request != ADMIN_REQUEST_MORE || got == CONN_END) {
            answer(client, request);
            return;
        }
    }
}

static void on_writable(struct conn *conn)
{
    struct client *client = conn_user(conn);
    if (client->answer)
        write_on(client);
}

static void on_failed(struct conn *conn)
{
    client_abort(conn_user(conn));
}

static const struct conn_callbacks client_callbacks = {
    .on_readable = on_readable,
    .on_writable = on_writable,
    .on_failed = on_failed,
};

static void on_accept(struct acceptor *acceptor, int fd, const union address *peer, void *user)
{
    (void)acceptor;
    (void)peer;
    struct admin *admin = user;
    struct client *client = admin->client_count < CLIENTS_MAX ? malloc(sizeof *client) : NULL;
    if (!client) {
        close(fd);
        return;
    }
    memset(client, 0, offsetof(struct client, head));
    if (conn_open(admin->loop, fd, &client_callbacks, client, &client->conn) < 0) {
        close(fd);
        free(client);
        return;
    }
    client->admin = admin;
    client->next = admin->clients;
    client->link = &admin->clients;
    if (client->next)
        client->next->link = &client->next;
    admin->clients = client;
    admin->client_count++;
    timer_init(&client->timer, admin->loop, on_time);
    timer_start(&client->timer, loop_now(admin->loop) + admin->options.timeout);
}

static bool is_loopback(const union address *address)
{
    union address plain = address_unmap(address);
    return address_is_loopback(&plain);
}

int admin_open(struct loop *loop, const struct admin_options *options, struct admin **ret_admin)
{
    if (!is_loopback(&options->address))
        return -EPERM;
    struct admin *admin = calloc(1, sizeof *admin);
    if (!admin)
        return -ENOMEM;
    admin->loop = loop;
    admin->options = *options;
    if (!admin->options.timeout)
        admin->options.timeout = CLIENT_TIMEOUT;
    int result = acceptor_open(loop, &options->address, on_accept, admin, &admin->acceptor);
    if (result < 0) {
        free(admin);
        return result;
    }
    *ret_admin = admin;
    return 0;
}

void admin_address(const struct admin *admin, union address *ret_address)
{
    acceptor_address(admin->acceptor, ret_address);
}

void admin_close(struct admin *admin)
{
    if (!admin)
        return;
    acceptor_close(admin->acceptor);
    while (admin->clients)
        client_abort(admin->clients);
    free(admin);
}
