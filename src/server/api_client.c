/* A connection to the API: a request is read, asked, answered; then the next. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "control/api_text.h"
#include "edge/http_head.h"
#include "net/timer.h"
#include "server/api_listener_internal.h"
#include "server/api_reader.h"

#define HEAD_SIZE 1024 /* of an answer */

struct api_client {
    struct timer timer; /* first */
    struct api_client *next, *previous;
    struct api_listener *listener;
    struct conn *conn; /* NULL: gone, while the API still works on its request */
    struct loop_deferred work;
    struct api_reader reader;
    union address address;
    char *left; /* read, and not taken by the reader: what comes after a request */
    size_t left_size;
    char *out; /* what the connection didn't take yet */
    size_t out_size, out_sent;
    struct api_text *text; /* of the answer's body, behind `out`; a reference */
    const char *text_at;   /* from here on */
    size_t text_size;
    bool is_operator;
    bool is_ready;   /* the handshake is done */
    bool is_asking;  /* the API works on the request */
    bool is_closing; /* after the answer */
};

/* --- Life --- */

static void client_free(struct api_client *client)
{
    struct api_listener *listener = client->listener;
    timer_stop(&client->timer);
    loop_undefer(listener->loop, &client->work);
    if (client->next)
        client->next->previous = client->previous;
    if (client->previous)
        client->previous->next = client->next;
    else
        listener->clients = client->next;
    listener->client_count--;
    listener->operator_count -= client->is_operator;
    api_reader_deinit(&client->reader);
    free(client->left);
    free(client->out);
    api_text_unref(client->text);
    free(client);
}

/* What the API works on is for nobody then; its answer frees the client. */
static void leave(struct api_client *client, bool orderly)
{
    if (orderly)
        conn_close(client->conn);
    else
        conn_abort(client->conn);
    client->conn = NULL;
    timer_stop(&client->timer);
    loop_undefer(client->listener->loop, &client->work);
    if (!client->is_asking)
        client_free(client);
}

static void await(struct api_client *client)
{
    timer_start(&client->timer,
                loop_now(client->listener->loop) + client->listener->options.timeout);
}

/* --- Writing --- */

/* As much as goes now. How much went, or -1. */
static ssize_t write_some(struct api_client *client, const char *bytes, size_t length)
{
    size_t sent = 0;
    while (sent < length) {
        ssize_t taken = conn_write(client->conn, bytes + sent, length - sent);
        if (taken == CONN_WAIT)
            break;
        if (taken < 0)
            return -1;
        sent += (size_t)taken;
    }
    return (ssize_t)sent;
}

static int keep_rest(struct api_client *client, const char *bytes, size_t length)
{
    if (!length)
        return 0;
    char *grown = realloc(client->out, client->out_size + length);
    if (!grown)
        return -1;
    memcpy(grown + client->out_size, bytes, length);
    client->out = grown;
    client->out_size += length;
    return 0;
}

/* In order: behind what waits. */
static int put(struct api_client *client, const char *bytes, size_t length)
{
    ssize_t sent = client->out ? 0 : write_some(client, bytes, length);
    if (sent < 0)
        return -1;
    return keep_rest(client, bytes + sent, length - (size_t)sent);
}

/* The same of an answer's body; a shared one isn't copied. */
static int put_body(struct api_client *client, const struct api_answer *answer)
{
    if (!answer->shared)
        return put(client, answer->body, answer->body_length);
    ssize_t sent = client->out ? 0 : write_some(client, answer->body, answer->body_length);
    if (sent < 0)
        return -1;
    if ((size_t)sent == answer->body_length)
        return 0;
    client->text = api_text_ref(answer->shared);
    client->text_at = answer->body + sent;
    client->text_size = answer->body_length - (size_t)sent;
    return 0;
}

static bool has_waiting(const struct api_client *client)
{
    return client->out || client->text;
}

static int write_out(struct api_client *client)
{
    ssize_t sent =
        write_some(client, client->out + client->out_sent, client->out_size - client->out_sent);
    if (sent < 0)
        return -1;
    client->out_sent += (size_t)sent;
    if (client->out_sent < client->out_size)
        return 0;
    free(client->out);
    client->out = NULL;
    client->out_size = client->out_sent = 0;
    return 0;
}

static int write_text(struct api_client *client)
{
    ssize_t sent = write_some(client, client->text_at, client->text_size);
    if (sent < 0)
        return -1;
    client->text_at += sent;
    client->text_size -= (size_t)sent;
    if (client->text_size)
        return 0;
    api_text_unref(client->text);
    client->text = NULL;
    return 0;
}

/* 0, -1, or 1 when something still waits. */
static int write_on(struct api_client *client)
{
    int result = 0;
    if (!has_waiting(client))
        return 0;
    conn_cork(client->conn);
    if (client->out)
        result = write_out(client);
    if (result == 0 && !client->out && client->text)
        result = write_text(client);
    if (conn_uncork(client->conn) < 0 || result < 0)
        return -1;
    return has_waiting(client);
}

/* --- Answering --- */

static bool has_body(int status)
{
    return status != 204 && status != 304;
}

static size_t write_head(const struct api_client *client, const struct api_answer *answer,
                         char head[HEAD_SIZE])
{
    const char *date = http_date_at(&client->listener->date, time(NULL));
    char content[256] = "";
    if (has_body(answer->status))
        snprintf(content, sizeof content, "Content-Type: %s\r\nContent-Length: %zu\r\n",
                 answer->content_type, answer->body_length);
    int length =
        snprintf(head, HEAD_SIZE,
                 "HTTP/1.1 %d %s\r\nDate: %s\r\n%s%s%s"
                 "X-Content-Type-Options: nosniff\r\n%s\r\n",
                 answer->status, http_head_reason(answer->status), date, content, answer->head,
                 strstr(answer->head, "Cache-Control:") ? "" : "Cache-Control: no-store\r\n",
                 client->is_closing ? "Connection: close\r\n" : "");
    return length < HEAD_SIZE ? (size_t)length : HEAD_SIZE - 1;
}

static int write_answer(struct api_client *client, const struct api_answer *answer)
{
    char head[HEAD_SIZE];
    size_t length = write_head(client, answer, head);
    bool with_body = has_body(answer->status) && !client->reader.is_head;
    conn_cork(client->conn);
    int result = put(client, head, length);
    if (result == 0 && with_body && answer->body_length)
        result = put_body(client, answer);
    return conn_uncork(client->conn) < 0 ? -1 : result;
}

static void tell(const struct api_client *client, const char *path, int status)
{
    const struct api_listener_options *options = &client->listener->options;
    if (options->on_answered)
        options->on_answered(options->user, path, status);
}

static void on_answer(void *user, const struct api_answer *answer)
{
    struct api_client *client = user;
    struct api_listener *listener = client->listener;
    client->is_asking = false;
    tell(client, client->reader.request.path, answer->status);
    if (!client->conn) {
        client_free(client);
        return;
    }
    client->is_closing |= client->reader.closes || listener->is_draining;
    if (write_answer(client, answer) < 0) {
        leave(client, false);
        return;
    }
    api_reader_next(&client->reader);
    await(client);
    /* Not this turn: who sends many requests at once waits behind the others. */
    loop_defer_next(listener->loop, &client->work);
}

/* Our own, for what never came to the API; the connection closes after it. */
static void refuse(struct api_client *client, int status, const char *code)
{
    char body[160];
    int length = snprintf(body, sizeof body, "{\"error\":{\"code\":\"%s\",\"message\":\"%s\"}}",
                          code, http_head_reason(status));
    const struct api_answer answer = {status, "application/json", "", body, (size_t)length, NULL};
    client->is_closing = true;
    tell(client, "", status);
    if (write_answer(client, &answer) < 0)
        leave(client, false);
    else if (has_waiting(client))
        await(client);
    else
        leave(client, true);
}

/* --- Reading --- */

static void ask(struct api_client *client)
{
    struct api_request request = client->reader.request;
    request.address = client->address;
    request.is_operator = client->is_operator;
    client->is_asking = true;
    if (client->listener->options.on_asked)
        client->listener->options.on_asked(client->listener->options.user, request.path);
    timer_stop(&client->timer); /* the API answers, or the client goes */
    api_handle(client->listener->api, &request, on_answer, client);
}

/* What comes after the request, for later. */
static int keep_left(struct api_client *client, const char *bytes, size_t length)
{
    char *left = length ? malloc(length) : NULL;
    if (length && !left)
        return -1;
    if (length)
        memcpy(left, bytes, length);
    free(client->left);
    client->left = left;
    client->left_size = length;
    return 0;
}

/* True when there is room for more bytes: the request isn't whole. */
static bool feed(struct api_client *client, const char *bytes, size_t length)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    bool had_begun = client->reader.has_begun;
    size_t taken;
    for (;;) {
        enum api_read result = api_reader_feed(&client->reader, bytes, length, &taken);
        bytes += taken;
        length -= taken;
        switch (result) {
        case API_READ_MORE:
            if (!had_begun) /* the time for a request begins with it */
                await(client);
            return true;
        case API_READ_CONTINUE:
            if (put(client, go_on, sizeof go_on - 1) < 0) {
                leave(client, false);
                return false;
            }
            continue;
        case API_READ_WHOLE:
            if (keep_left(client, bytes, length) < 0)
                refuse(client, 503, "OUT_OF_MEMORY");
            else
                ask(client);
            return false;
        case API_READ_REFUSED:
            refuse(client, client->reader.status, client->reader.code);
            return false;
        }
    }
}

static bool feed_left(struct api_client *client)
{
    char *left = client->left;
    size_t size = client->left_size;
    if (!left)
        return true;
    client->left = NULL;
    client->left_size = 0;
    bool wants_more = feed(client, left, size);
    free(left);
    return wants_more;
}

static void read_on(struct api_client *client)
{
    struct api_listener *listener = client->listener;
    if (!feed_left(client))
        return;
    for (;;) {
        ssize_t count = conn_read(client->conn, listener->scratch, sizeof listener->scratch);
        if (count == CONN_WAIT)
            break;
        if (count < 0) { /* nobody is there to be answered */
            leave(client, count == CONN_END);
            return;
        }
        if (!feed(client, listener->scratch, (size_t)count))
            return;
    }
    if (listener->is_draining && !client->reader.has_begun)
        leave(client, true);
}

static void work(struct api_client *client)
{
    int waits = write_on(client);
    if (waits < 0)
        leave(client, false);
    else if (waits == 0 && client->is_closing && !client->is_asking)
        leave(client, true);
    else if (waits == 0 && !client->is_asking)
        read_on(client);
}

static void run_work(struct loop_deferred *deferred)
{
    work((struct api_client *)(void *)((char *)deferred - offsetof(struct api_client, work)));
}

/* --- The connection --- */

static void on_ready(struct conn *conn)
{
    struct api_client *client = conn_user(conn);
    client->is_ready = true;
    work(client);
}

static void on_change(struct conn *conn)
{
    struct api_client *client = conn_user(conn);
    if (client->is_ready)
        work(client);
}

/* A FIN isn't the end: the client may wait for its answer. */
static void on_hangup(struct conn *conn)
{
    struct api_client *client = conn_user(conn);
    if (conn_error(conn))
        leave(client, false);
    else
        client->is_closing |= client->is_asking;
}

static void on_failed(struct conn *conn)
{
    leave(conn_user(conn), true); /* an alert may be on its way */
}

static const struct conn_callbacks callbacks = {
    .on_ready = on_ready,
    .on_readable = on_change,
    .on_writable = on_change,
    .on_hangup = on_hangup,
    .on_failed = on_failed,
};

static void on_time(struct timer *timer)
{
    struct api_client *client = (struct api_client *)timer;
    if (client->is_ready && !has_waiting(client) && client->reader.has_begun)
        refuse(client, 408, "REQUEST_TIMEOUT");
    else
        leave(client, client->is_ready && !has_waiting(client));
}

static void add(struct api_listener *listener, struct api_client *client)
{
    client->next = listener->clients;
    if (listener->clients)
        listener->clients->previous = client;
    listener->clients = client;
    listener->client_count++;
    listener->operator_count += client->is_operator;
}

void api_client_open(struct api_listener *listener, int fd, const void *left, size_t left_size,
                     const union address *peer, bool is_operator)
{
    struct api_client *client = calloc(1, sizeof *client);
    if (!client ||
        conn_attach(listener->loop, fd, left, left_size, &callbacks, client, &client->conn) < 0) {
        free(client);
        close(fd);
        return;
    }
    client->listener = listener;
    client->work.run = run_work;
    client->address = address_unmap(peer);
    client->is_operator = client->is_ready = is_operator;
    api_reader_init(&client->reader);
    timer_init(&client->timer, listener->loop, on_time);
    add(listener, client);
    await(client);
    if (is_operator)
        loop_defer(listener->loop, &client->work);
    else if (conn_start_tls_server(client->conn, listener->tls) < 0)
        leave(client, false);
}

void api_client_drain(struct api_client *client)
{
    for (struct api_client *next; client; client = next) {
        next = client->next;
        if (!client->conn || client->is_asking || has_waiting(client))
            continue;
        if (!client->reader.has_begun)
            leave(client, true);
    }
}

void api_client_drop_all(struct api_listener *listener)
{
    while (listener->clients) {
        struct api_client *client = listener->clients;
        conn_abort(client->conn);
        client_free(client);
    }
}
