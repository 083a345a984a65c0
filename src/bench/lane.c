#include "bench/lane.h"

#include <stdlib.h>
#include <string.h>

#include "bench/client_tunnel.h"
#include "net/conn.h"
#include "streamplex.h"

const char *const route_names[ROUTE_COUNT] = {
    [ROUTE_SERVER] = "server", [ROUTE_HOP] = "hop",     [ROUTE_EDGE] = "edge",
    [ROUTE_SSH] = "ssh",       [ROUTE_NGINX] = "nginx", [ROUTE_NGINX_SSH] = "nginx+ssh",
    [ROUTE_PLAIN] = "plain",
};

static void release(struct lane *lane)
{
    client_dont_go_on(&lane->again);
    free(lane->left);
    lane->left = NULL;
    lane->left_size = lane->left_at = 0;
    lane->substream = NULL;
    lane->conn = NULL;
    lane->is_open = false;
}

/* Connections: hop and plain ------------------------------------------------------------------ */

static void conn_over(struct lane *lane, const char *error)
{
    struct conn *conn = lane->conn;
    release(lane);
    if (error) {
        lane->callbacks->on_closed(lane, error);
        conn_abort(conn);
        return;
    }
    conn_close(conn);
    lane->callbacks->on_closed(lane, NULL);
}

/* Writes what an earlier write left; false when the socket takes no more. */
static bool write_left(struct lane *lane)
{
    while (lane->left_at < lane->left_size) {
        ssize_t put =
            conn_write(lane->conn, lane->left + lane->left_at, lane->left_size - lane->left_at);
        if (put <= 0) {
            if (put < 0) {
                conn_over(lane, conn_error_text(lane->conn));
            }
            return false;
        }
        lane->left_at += (size_t)put;
    }
    lane->left_at = lane->left_size = 0;
    return true;
}

static bool keep_left(struct lane *lane, const uint8_t *bytes, size_t size)
{
    if (!lane->left) {
        lane->left = malloc(CLIENT_CHUNK);
    }
    if (!lane->left) {
        conn_over(lane, "out of memory");
        return false;
    }
    memcpy(lane->left, bytes, size);
    lane->left_at = 0;
    lane->left_size = size;
    return true;
}

static void finish_if_done(struct lane *lane)
{
    if (lane->is_open && lane->peer_ended && lane->ended && !lane->left_size) {
        conn_over(lane, NULL);
    }
}

static void write_some(struct lane *lane)
{
    struct conn *conn = lane->conn;
    if (!lane->connected) {
        return;
    }
    /* Under TLS a write is a record; beyond that, a larger piece costs fewer calls. */
    size_t capacity = lane->route == ROUTE_HOP ? PLEX_PULL_MAX : CLIENT_CHUNK;
    for (int i = 0; i < CLIENT_TURN; i++) {
        if (!write_left(lane) || !conn_can_write(conn)) {
            return;
        }
        if (lane->ended) {
            conn_shutdown(conn);
            finish_if_done(lane);
            return;
        }
        uint8_t *chunk = lane->client->output;
        size_t size =
            lane->callbacks->on_pull ? lane->callbacks->on_pull(lane, chunk, capacity) : 0;
        if (lane->conn != conn) {
            return;
        }
        if (size == 0) {
            if (lane->ended) {
                continue;
            }
            return;
        }
        ssize_t put = conn_write(conn, chunk, size);
        if (put < 0) {
            conn_over(lane, conn_error_text(conn));
            return;
        }
        if ((size_t)put < size && !keep_left(lane, chunk + put, size - (size_t)put)) {
            return;
        }
    }
    client_go_on(lane->client, &lane->again);
}

static void read_conn(struct lane *lane)
{
    struct conn *conn = lane->conn;
    for (int i = 0; i < CLIENT_TURN && !lane->peer_ended; i++) {
        ssize_t got = conn_read(conn, lane->client->input, sizeof(lane->client->input));
        if (got == CONN_WAIT) {
            return;
        }
        if (got == CONN_END) {
            lane->peer_ended = true;
            if (lane->callbacks->on_end) {
                lane->callbacks->on_end(lane);
            }
            if (lane->conn == conn) {
                finish_if_done(lane);
            }
            return;
        }
        if (got < 0) {
            conn_over(lane, conn_error_text(conn));
            return;
        }
        lane->callbacks->on_data(lane, lane->client->input, (size_t)got);
        if (lane->conn != conn) {
            return;
        }
    }
    if (!lane->peer_ended) {
        client_go_on(lane->client, &lane->again);
    }
}

static void on_again(struct client_again *again)
{
    struct lane *lane = (struct lane *)((char *)again - offsetof(struct lane, again));
    read_conn(lane);
    if (lane->conn) {
        write_some(lane);
    }
}

static void on_conn_ready(struct conn *conn)
{
    struct lane *lane = conn_user(conn);
    if (lane->route == ROUTE_HOP && !lane->tls_started) {
        char key[ADDRESS_TEXT_MAX];
        address_format(&lane->client->hops[lane->target], key);
        lane->tls_started = true;
        if (conn_start_tls_client(conn, lane->client->hop_tls, "127.0.0.1", key) < 0) {
            conn_over(lane, "TLS can't be started");
        }
        return;
    }
    lane->connected = true;
    if (lane->callbacks->on_connected) {
        lane->callbacks->on_connected(lane);
    }
    if (lane->conn == conn) {
        write_some(lane);
    }
}

static void on_conn_readable(struct conn *conn)
{
    read_conn(conn_user(conn));
}

static void on_conn_writable(struct conn *conn)
{
    write_some(conn_user(conn));
}

static void on_conn_failed(struct conn *conn)
{
    conn_over(conn_user(conn), conn_error_text(conn));
}

static const struct conn_callbacks conn_callbacks = {
    .on_ready = on_conn_ready,
    .on_readable = on_conn_readable,
    .on_writable = on_conn_writable,
    .on_failed = on_conn_failed,
};

/* --- Substreams --- */

static void on_substream_data(struct plex_substream *substream, const void *data, size_t length)
{
    struct lane *lane = plex_substream_user(substream);
    lane->callbacks->on_data(lane, data, length);
    if (lane->substream == substream) {
        plex_substream_consume(substream, length);
    }
}

static void on_substream_end(struct plex_substream *substream)
{
    struct lane *lane = plex_substream_user(substream);
    lane->peer_ended = true;
    if (lane->callbacks->on_end) {
        lane->callbacks->on_end(lane);
    }
}

static void on_substream_event(struct plex_substream *substream, enum plex_event event,
                               const char *text)
{
    struct lane *lane = plex_substream_user(substream);
    (void)text;
    if (event != PLEX_EVENT_CONNECT) {
        return;
    }
    lane->connected = true;
    if (lane->callbacks->on_connected) {
        lane->callbacks->on_connected(lane);
    }
    if (lane->substream == substream && !lane->early && lane->callbacks->on_pull) {
        plex_substream_ready(substream);
    }
}

/* on_gone follows, which has no text: so the lane is over here. */
static void on_substream_error(struct plex_substream *substream, const char *message,
                               const char *code)
{
    struct lane *lane = plex_substream_user(substream);
    (void)code;
    plex_substream_close(substream);
    release(lane);
    lane->callbacks->on_closed(lane, message);
}

static void on_substream_gone(struct plex_substream *substream, int reason)
{
    struct lane *lane = plex_substream_user(substream);
    release(lane);
    lane->callbacks->on_closed(lane,
                               reason == PLEX_SUBSTREAM_CLOSED ? NULL : plex_error_text(reason));
}

static size_t on_substream_pull(struct plex_substream *substream, void *buffer, size_t capacity)
{
    struct lane *lane = plex_substream_user(substream);
    if (!lane->callbacks->on_pull || !(lane->connected || lane->early)) {
        return 0;
    }
    return lane->callbacks->on_pull(lane, buffer, capacity);
}

void lane_fill_callbacks(struct plex_callbacks *callbacks)
{
    callbacks->on_data = on_substream_data;
    callbacks->on_end = on_substream_end;
    callbacks->on_event = on_substream_event;
    callbacks->on_error = on_substream_error;
    callbacks->on_gone = on_substream_gone;
    callbacks->on_pull = on_substream_pull;
}

static int open_substream(struct lane *lane)
{
    struct client *client = lane->client;
    char host[ADDRESS_TEXT_MAX];
    union address to = client_next_target(client, &client->targets[lane->target]);
    /* The tunnel may be lost: this may be called while its end is told to its lanes. */
    if (!lane->tunnel->session || plex_substream_open(lane->tunnel->session, PLEX_NET, NULL, NULL,
                                                      lane, &lane->substream) != 0) {
        return -1;
    }
    if (plex_substream_connect(lane->substream, address_format_host(&to, host),
                               address_port(&to)) != 0) {
        lane_abort(lane);
        return -1;
    }
    if (lane->early && lane->callbacks->on_pull) {
        plex_substream_ready(lane->substream);
    }
    return 0;
}

static union address find_way(struct client *client, enum route route, enum target_kind target)
{
    switch (route) {
    case ROUTE_HOP:
        return client->hops[target];
    case ROUTE_PLAIN:
        return client_next_target(client, &client->plain[target]);
    default:
        return client->visits[route][target];
    }
}

int lane_open(struct lane *lane, struct client *client, enum route route,
              struct client_tunnel *tunnel, enum target_kind target, bool early,
              const struct lane_callbacks *callbacks)
{
    *lane = (struct lane){
        .callbacks = callbacks,
        .client = client,
        .route = route,
        .target = target,
        .early = early,
        .tunnel = tunnel,
        .is_open = true,
        .again = {.run = on_again},
    };
    int failed;
    if (route == ROUTE_SERVER) {
        failed = open_substream(lane);
    } else {
        union address to = find_way(client, route, target);
        failed = conn_connect(client->loop, &to, &conn_callbacks, lane, &lane->conn);
    }
    if (failed) {
        lane->is_open = false;
        return -1;
    }
    return 0;
}

void lane_ready(struct lane *lane)
{
    if (lane->substream) {
        if (lane->connected || lane->early) {
            plex_substream_ready(lane->substream);
        }
    } else if (lane->conn) {
        write_some(lane);
    }
}

void lane_end(struct lane *lane)
{
    lane->ended = true;
    if (lane->substream) {
        plex_substream_end(lane->substream);
    } else if (lane->conn) {
        /* Through the loop: we may be inside on_pull. */
        client_go_on(lane->client, &lane->again);
    }
}

void lane_abort(struct lane *lane)
{
    if (lane->substream) {
        plex_substream_abort(lane->substream, NULL, NULL);
    }
    conn_abort(lane->conn);
    release(lane);
}
