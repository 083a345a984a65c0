#include "bench/holder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/conn.h"

#define OPEN_SECONDS 300.0

struct held {
    struct holder *holder;
    struct client_tunnel tunnel; /* server */
    struct conn *conn;           /* hop */
    uint64_t began;
    int ticket;
    bool answered;
};

static void begin_next(struct holder *holder);

static void finish_one(struct held *held, bool resumed)
{
    struct holder *holder = held->holder;
    holder->done++;
    holder->resumed += resumed;
    /* The ticket for next time came before the answer. */
    holder->free_tickets[holder->free_count++] = held->ticket;
    histogram_add(&holder->duration, client_now() - held->began);
    begin_next(holder);
}

static void fail_one(struct held *held, const char *error)
{
    struct holder *holder = held->holder;
    holder->free_tickets[holder->free_count++] = held->ticket;
    if (!holder->failed++) {
        snprintf(holder->error, sizeof(holder->error), "%s", error);
    }
    begin_next(holder);
}

/* Tunnels */

static void on_authed(struct client_tunnel *tunnel)
{
    struct held *held = tunnel->user;
    held->answered = true;
    finish_one(held, tunnel->resumed);
}

static void on_lost(struct client_tunnel *tunnel, const char *error)
{
    struct held *held = tunnel->user;
    if (held->answered) {
        held->holder->lost++;
    } else {
        fail_one(held, error);
    }
}

static const struct client_tunnel_callbacks tunnel_callbacks = {.on_authed = on_authed,
                                                                .on_lost = on_lost};

/* The hop's answering port */

static void on_conn_ready(struct conn *conn)
{
    ssize_t put = conn_write(conn, "x", 1);
    (void)put; /* an empty connection takes a byte, or fails and says so */
}

static void on_conn_readable(struct conn *conn)
{
    struct held *held = conn_user(conn);
    uint8_t bytes[16];
    ssize_t got;
    while ((got = conn_read(conn, bytes, sizeof(bytes))) > 0) {
        if (!held->answered) {
            held->answered = true;
            finish_one(held, conn_tls_resumed(conn));
        }
    }
}

static void on_conn_writable(struct conn *conn)
{
    (void)conn;
}

static void on_conn_failed(struct conn *conn)
{
    struct held *held = conn_user(conn);
    held->conn = NULL;
    if (held->answered) {
        held->holder->lost++;
    } else {
        fail_one(held, conn_error_text(conn));
    }
    conn_abort(conn);
}

static const struct conn_callbacks conn_callbacks = {
    .on_ready = on_conn_ready,
    .on_readable = on_conn_readable,
    .on_writable = on_conn_writable,
    .on_failed = on_conn_failed,
};

static int open_conn(struct held *held)
{
    struct client *client = &held->holder->rig->client;
    char key[ADDRESS_TEXT_MAX + 16];
    int fd = client_connect_from_many(client, &client->hop_answers);
    if (fd < 0 || conn_open(client->loop, fd, &conn_callbacks, held, &held->conn) < 0) {
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    client_ticket_key(&client->hop_answers, held->ticket, key);
    return conn_start_tls_client(held->conn, client->hop_tls, "127.0.0.1",
                                 held->holder->resume ? key : NULL);
}

static int open_one(struct held *held)
{
    struct holder *holder = held->holder;
    held->began = client_now();
    if (holder->route == ROUTE_HOP) {
        return open_conn(held);
    }
    if (client_tunnel_open(&held->tunnel, &holder->rig->client, true,
                           holder->resume ? held->ticket : -1, &tunnel_callbacks) < 0) {
        return -1;
    }
    held->tunnel.user = held;
    return 0;
}

static void begin_next(struct holder *holder)
{
    while (holder->begun < holder->count &&
           holder->begun - holder->done - holder->failed < holder->concurrency) {
        struct held *held = &holder->held[holder->begun++];
        held->ticket = holder->free_tickets[--holder->free_count];
        if (open_one(held) < 0) {
            holder->free_tickets[holder->free_count++] = held->ticket;
            if (!holder->failed++) {
                snprintf(holder->error, sizeof(holder->error), "no connection: %s",
                         strerror(errno));
            }
        }
    }
    if (holder->done + holder->failed == holder->count) {
        client_wake(&holder->rig->client);
    }
}

int holder_open(struct holder *holder, struct rig *rig, enum route route, int count,
                int concurrency, bool resume)
{
    memset(holder, 0, sizeof(*holder));
    holder->rig = rig;
    holder->route = route;
    holder->resume = resume;
    holder->count = count;
    holder->concurrency = concurrency;
    histogram_init(&holder->duration);
    if (count == 0) {
        return 0;
    }
    holder->held = calloc((size_t)count, sizeof(*holder->held));
    holder->free_tickets = calloc((size_t)concurrency, sizeof(int));
    if (!holder->held || !holder->free_tickets) {
        return -1;
    }
    for (int i = 0; i < concurrency; i++) {
        holder->free_tickets[holder->free_count++] = i;
    }
    for (int i = 0; i < count; i++) {
        holder->held[i].holder = holder;
    }
    begin_next(holder);
    if (holder->done + holder->failed < count) {
        client_wait(&rig->client, OPEN_SECONDS);
    }
    return 0;
}

void holder_close(struct holder *holder)
{
    for (int i = 0; holder->held && i < holder->count; i++) {
        client_tunnel_close(&holder->held[i].tunnel);
        conn_abort(holder->held[i].conn);
    }
    free(holder->held);
    free(holder->free_tickets);
    memset(holder, 0, sizeof(*holder));
}
