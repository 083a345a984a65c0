#include "bench/client_tunnel.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench/lane.h"
#include "net/conn.h"

#define TUNNEL_OF(pointer_, member_)                                                               \
    ((struct client_tunnel *)((char *)(pointer_)-offsetof(struct client_tunnel, member_)))

static void flush(struct client_tunnel *tunnel);

static void lose(struct client_tunnel *tunnel, const char *error)
{
    client_tunnel_close(tunnel);
    tunnel->callbacks->on_lost(tunnel, error);
}

static void set_deadline(struct client_tunnel *tunnel)
{
    timer_start(&tunnel->deadline, plex_session_deadline(tunnel->session));
}

/* False when the tunnel was lost, or closed by what was called. */
static bool feed(struct client_tunnel *tunnel, const uint8_t *bytes, size_t length)
{
    struct plex_session *session = tunnel->session;
    size_t taken = 0;
    int error = plex_session_feed(session, bytes, length, loop_now(tunnel->client->loop), &taken);
    if (tunnel->session != session) {
        return false;
    }
    if (error) {
        lose(tunnel, plex_error_text(error));
        return false;
    }
    if (taken < length) {
        /* Everything is consumed as it comes, so there is no reason for the engine to stop. */
        lose(tunnel, "the engine took less than was fed");
        return false;
    }
    return true;
}

static void read_some(struct client_tunnel *tunnel)
{
    struct client *client = tunnel->client;
    for (int i = 0; i < CLIENT_TURN; i++) {
        ssize_t got = conn_read(tunnel->conn, client->input, sizeof(client->input));
        if (got == CONN_WAIT) {
            set_deadline(tunnel);
            return;
        }
        if (got < 0) {
            lose(tunnel,
                 got == CONN_END ? "the server closed the tunnel" : conn_error_text(tunnel->conn));
            return;
        }
        if (!feed(tunnel, client->input, (size_t)got)) {
            return;
        }
    }
    client_go_on(client, &tunnel->again);
}

static void on_again(struct client_again *again)
{
    struct client_tunnel *tunnel = TUNNEL_OF(again, again);
    read_some(tunnel);
    if (tunnel->conn) {
        flush(tunnel);
    }
}

static void flush(struct client_tunnel *tunnel)
{
    uint8_t *record = tunnel->client->output;
    uint64_t now = loop_now(tunnel->client->loop);
    for (int i = 0; i < CLIENT_TURN; i++) {
        if (!conn_can_write(tunnel->conn)) {
            return;
        }
        size_t size = plex_session_pull(tunnel->session, record, PLEX_PULL_MAX, now);
        if (size == 0) {
            set_deadline(tunnel);
            return;
        }
        ssize_t put = conn_write(tunnel->conn, record, size);
        if (put != (ssize_t)size) {
            lose(tunnel, put < 0 ? conn_error_text(tunnel->conn) : "a record was taken in part");
            return;
        }
    }
    client_go_on(tunnel->client, &tunnel->again);
}

static void run_flush(struct loop_deferred *deferred)
{
    flush(TUNNEL_OF(deferred, flush));
}

static void on_deadline(struct timer *timer)
{
    struct client_tunnel *tunnel = TUNNEL_OF(timer, deadline);
    struct plex_session *session = tunnel->session;
    int error = plex_session_tick(session, loop_now(tunnel->client->loop));
    if (tunnel->session == session && error) {
        lose(tunnel, plex_error_text(error));
    } else if (tunnel->session == session) {
        set_deadline(tunnel);
    }
}

static void on_conn_ready(struct conn *conn);

static void on_conn_readable(struct conn *conn)
{
    read_some(conn_user(conn));
}

static void on_conn_writable(struct conn *conn)
{
    struct client_tunnel *tunnel = conn_user(conn);
    if (tunnel->session) {
        flush(tunnel);
    }
}

static void on_conn_failed(struct conn *conn)
{
    lose(conn_user(conn), conn_error_text(conn));
}

/* Two sets: before TLS stands, and after. */
static const struct conn_callbacks ready_callbacks = {
    .on_ready = on_conn_ready,
    .on_readable = on_conn_readable,
    .on_writable = on_conn_writable,
    .on_failed = on_conn_failed,
};

void client_ticket_key(const union address *to, int ticket, char key[ADDRESS_TEXT_MAX + 16])
{
    char text[ADDRESS_TEXT_MAX];
    snprintf(key, ADDRESS_TEXT_MAX + 16, "%s#%d", address_format(to, text), ticket);
}

static int start_tls(struct client_tunnel *tunnel)
{
    struct client *client = tunnel->client;
    char key[ADDRESS_TEXT_MAX + 16];
    client_ticket_key(&client->server, tunnel->ticket, key);
    return conn_start_tls_client(tunnel->conn, client->tls, client->server_name,
                                 tunnel->ticket >= 0 ? key : NULL);
}

static void on_connected(struct conn *conn)
{
    struct client_tunnel *tunnel = conn_user(conn);
    conn_set_callbacks(conn, &ready_callbacks, tunnel);
    if (start_tls(tunnel) < 0) {
        lose(tunnel, "TLS can't be started");
    }
}

static const struct conn_callbacks connecting_callbacks = {
    .on_ready = on_connected,
    .on_readable = on_conn_readable,
    .on_writable = on_conn_writable,
    .on_failed = on_conn_failed,
};

static void on_conn_ready(struct conn *conn)
{
    struct client_tunnel *tunnel = conn_user(conn);
    struct client *client = tunnel->client;
    conn_set_tunnel_options(conn);
    tunnel->resumed = conn_tls_resumed(conn);
    const struct plex_config *plex = tunnel->callbacks->plex;
    tunnel->session = plex_session_new(plex ? plex : &client->plex, tunnel, loop_now(client->loop));
    if (!tunnel->session ||
        plex_session_send_token(tunnel->session, client->token, strlen(client->token)) != 0) {
        lose(tunnel, "the token can't be sent");
        return;
    }
    flush(tunnel);
}

static void on_authed(struct plex_session *session, bool accepted)
{
    struct client_tunnel *tunnel = plex_session_user(session);
    if (!accepted) {
        fprintf(stderr, "streamplex bench: the server refused the token\n");
        return;
    }
    tunnel->authed = true;
    tunnel->authed_at = client_now();
    tunnel->callbacks->on_authed(tunnel);
}

static void on_output(struct plex_session *session)
{
    struct client_tunnel *tunnel = plex_session_user(session);
    loop_defer(tunnel->client->loop, &tunnel->flush);
}

static void on_resume(struct plex_session *session)
{
    (void)session; /* nothing is kept back, see feed() */
}

void client_tunnel_fill_callbacks(struct plex_callbacks *callbacks)
{
    callbacks->on_authed = on_authed;
    callbacks->on_output = on_output;
    callbacks->on_resume = on_resume;
}

static const struct plex_callbacks *tunnel_callbacks(void)
{
    static struct plex_callbacks callbacks;
    if (!callbacks.on_authed) {
        lane_fill_callbacks(&callbacks);
        client_tunnel_fill_callbacks(&callbacks);
    }
    return &callbacks;
}

int client_tunnel_open(struct client_tunnel *tunnel, struct client *client, bool many_sources,
                       int ticket, const struct client_tunnel_callbacks *callbacks)
{
    memset(tunnel, 0, sizeof(*tunnel));
    tunnel->callbacks = callbacks;
    tunnel->client = client;
    tunnel->ticket = ticket;
    tunnel->flush.run = run_flush;
    tunnel->again.run = on_again;
    tunnel->began = client_now();
    timer_init(&tunnel->deadline, client->loop, on_deadline);
    client->plex.callbacks = tunnel_callbacks();
    if (!many_sources) {
        return conn_connect(client->loop, &client->server, &connecting_callbacks, tunnel,
                            &tunnel->conn);
    }
    int fd = client_connect_from_many(client, &client->server);
    if (fd < 0) {
        return -1;
    }
    if (conn_open(client->loop, fd, &ready_callbacks, tunnel, &tunnel->conn) < 0) {
        close(fd);
        return -1;
    }
    if (start_tls(tunnel) < 0) {
        client_tunnel_close(tunnel);
        return -1;
    }
    return 0;
}

void client_tunnel_close(struct client_tunnel *tunnel)
{
    if (!tunnel->client) {
        return;
    }
    loop_undefer(tunnel->client->loop, &tunnel->flush);
    client_dont_go_on(&tunnel->again);
    timer_stop(&tunnel->deadline);
    struct plex_session *session = tunnel->session;
    tunnel->session = NULL;
    plex_session_free(session);
    loop_undefer(tunnel->client->loop, &tunnel->flush); /* what freeing may have asked for */
    /* At once: thousands that closed in order would stay in TIME_WAIT on our side. */
    conn_abort(tunnel->conn);
    tunnel->conn = NULL;
}

static void wake_authed(struct client_tunnel *tunnel)
{
    client_wake(tunnel->client);
}

static void wake_lost(struct client_tunnel *tunnel, const char *error)
{
    fprintf(stderr, "streamplex bench: the tunnel is lost: %s\n", error);
    client_wake(tunnel->client);
}

int client_tunnel_open_now(struct client_tunnel *tunnel, struct client *client)
{
    static const struct client_tunnel_callbacks callbacks = {.on_authed = wake_authed,
                                                             .on_lost = wake_lost};
    if (client_tunnel_open(tunnel, client, false, -1, &callbacks) < 0) {
        fprintf(stderr, "streamplex bench: no connection to the server\n");
        return -1;
    }
    if (!client_wait(client, 10) || !tunnel->authed) {
        fprintf(stderr, "streamplex bench: no authenticated tunnel within 10 s\n");
        client_tunnel_close(tunnel);
        return -1;
    }
    return 0;
}
