#include "agent/tunnel_client.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/conn.h"
#include "net/dial.h"
#include "net/relay.h"
#include "net/timer.h"

#define READ_SIZE     16384 /* what one TLS record brings at most */
#define PING_INTERVAL (30 * 1000000ull)
#define PING_TIMEOUT  (15 * 1000000ull)
/* What a turn may read and write, in records: soon enough over for the services that wait, and for
 * the credit and pongs that reading has made due. */
#define READS_PER_TURN  4
#define WRITES_PER_TURN 4
/* Room for "certificate verify failed: ..." and for names. */
#define TEXT_MAX 512

struct tunnel_client {
    struct loop *loop;
    const struct tunnel_client_callbacks *callbacks;
    void *user;
    char *host, *token;
    uint16_t port;
    struct tls_context *tls;

    struct dial *dial;            /* while connecting */
    struct conn *conn;            /* once TCP stands */
    struct plex_session *session; /* once TLS stands */
    struct plex_callbacks plex_callbacks;
    struct plex_config config;
    bool up;

    struct timer deadline; /* of the opening, then the engine's */
    uint64_t opening_until;
    struct loop_deferred flush, teardown;
    void (*on_closed)(void *user);
    bool closing;
    bool read_on; /* there may be something to read */
    int fault;    /* PLEX_TUNNEL_* found while feeding or ticking */
    bool refused;

    size_t left_start, left_size; /* read and not yet taken by the engine */
    unsigned char left[READ_SIZE];
    size_t unsent_start, unsent_size; /* pulled and not yet taken by the connection */
    unsigned char unsent[PLEX_PULL_MAX];
};

static void *allocate(void *user, size_t size)
{
    return malloc(size);
}

static void release(void *user, void *memory, size_t size)
{
    free(memory);
}

static const struct plex_allocator allocator = {allocate, release, NULL};

static void set_deadline(struct tunnel_client *tunnel)
{
    uint64_t when = tunnel->up ? UINT64_MAX : tunnel->opening_until;
    uint64_t engine = tunnel->session ? plex_session_deadline(tunnel->session) : UINT64_MAX;

    timer_start(&tunnel->deadline, engine < when ? engine : when);
}

/* The one door: everything is let go of but the object itself, which waits for
 * tunnel_client_close(). */
static void end(struct tunnel_client *tunnel, enum tunnel_client_end why, const char *text)
{
    struct plex_session *session = tunnel->session;

    if (tunnel->closing)
        return;
    timer_stop(&tunnel->deadline);
    loop_undefer(tunnel->loop, &tunnel->flush);
    dial_cancel(tunnel->dial);
    tunnel->dial = NULL;
    tunnel->session = NULL;
    plex_session_free(session);
    if (tunnel->conn)
        conn_close(tunnel->conn);
    tunnel->conn = NULL;
    if (!tunnel->closing)
        tunnel->callbacks->on_down(tunnel, why, text);
}

static void end_by_conn(struct tunnel_client *tunnel)
{
    char text[TEXT_MAX];

    if (tunnel->session)
        snprintf(text, sizeof text, "the tunnel broke: %s", conn_error_text(tunnel->conn));
    else
        snprintf(text, sizeof text, "TLS with %s:%u failed: %s", tunnel->host, tunnel->port,
                 conn_error_text(tunnel->conn));
    bool broke = conn_error(tunnel->conn) != -EPROTO;
    end(tunnel,
        tunnel->session ? TUNNEL_CLIENT_LOST
        : broke         ? TUNNEL_CLIENT_UNREACHABLE
                        : TUNNEL_CLIENT_UNTRUSTED,
        text);
}

/* How far writing came in a turn. */
enum pushed { PUSHED_ALL, PUSHED_SHARE, PUSHED_FAILED };

/* Gives the connection what it takes: first what it didn't take before, then what the engine has.
 */
static enum pushed push_records(struct tunnel_client *tunnel)
{
    for (int i = 0; i < WRITES_PER_TURN; i++) {
        if (!tunnel->unsent_size) {
            if (!conn_can_write(tunnel->conn))
                return PUSHED_ALL;
            tunnel->unsent_start = 0;
            /* The time as it is, not as it was when the turn began: round trips are measured by it.
             */
            tunnel->unsent_size =
                plex_session_pull(tunnel->session, tunnel->unsent, sizeof tunnel->unsent,
                                  loop_update_now(tunnel->loop));
            if (!tunnel->unsent_size)
                return PUSHED_ALL;
        }
        ssize_t taken =
            conn_write(tunnel->conn, tunnel->unsent + tunnel->unsent_start, tunnel->unsent_size);
        if (taken == CONN_WAIT)
            return PUSHED_ALL;
        if (taken < 0)
            return PUSHED_FAILED;
        tunnel->unsent_start += (size_t)taken;
        tunnel->unsent_size -= (size_t)taken;
    }
    return PUSHED_SHARE;
}

static enum pushed push(struct tunnel_client *tunnel)
{
    conn_cork(tunnel->conn);
    enum pushed pushed = push_records(tunnel);
    return conn_uncork(tunnel->conn) < 0 ? PUSHED_FAILED : pushed;
}

/* What a turn of the engine leaves to do. Nothing may be touched after it: the tunnel may have
 * ended. */
static void settle(struct tunnel_client *tunnel)
{
    if (tunnel->closing || !tunnel->session)
        return;
    enum pushed pushed = push(tunnel);
    if (tunnel->closing || !tunnel->session)
        return; /* on_pull may close the tunnel */
    if (tunnel->refused) {
        end(tunnel, TUNNEL_CLIENT_REFUSED, "the server refused the token");
    } else if (tunnel->fault == PLEX_TUNNEL_AUTH_TIMEOUT) {
        end(tunnel, TUNNEL_CLIENT_UNREACHABLE, "the server didn't answer the token in time");
    } else if (tunnel->fault) {
        char text[TEXT_MAX];
        snprintf(text, sizeof text, "the tunnel ended: %s", plex_error_text(tunnel->fault));
        end(tunnel, TUNNEL_CLIENT_LOST, text);
    } else if (pushed == PUSHED_FAILED) {
        end_by_conn(tunnel);
    } else {
        set_deadline(tunnel);
        if (tunnel->read_on || pushed == PUSHED_SHARE)
            loop_defer_next(tunnel->loop, &tunnel->flush);
    }
}

/* Feeds what is left over. False: stop reading, for the engine can take no more, or the tunnel is
 * at its end. */
static bool feed_left(struct tunnel_client *tunnel)
{
    size_t taken = 0;

    if (!tunnel->left_size)
        return true;
    tunnel->fault = plex_session_feed(tunnel->session, tunnel->left + tunnel->left_start,
                                      tunnel->left_size, loop_update_now(tunnel->loop), &taken);
    tunnel->left_start += taken;
    tunnel->left_size -= taken;
    return !tunnel->fault && !tunnel->refused && !tunnel->closing && !tunnel->left_size;
}

/* Returns what the last read said. */
static ssize_t read_records(struct tunnel_client *tunnel)
{
    ssize_t got = CONN_WAIT;

    tunnel->read_on = false;
    for (int i = 0; feed_left(tunnel); i++) {
        if (i == READS_PER_TURN) {
            tunnel->read_on = true;
            break;
        }
        got = conn_read(tunnel->conn, tunnel->left, sizeof tunnel->left);
        if (got <= 0)
            break;
        tunnel->left_start = 0;
        tunnel->left_size = (size_t)got;
    }
    return got;
}

static void read_all(struct tunnel_client *tunnel)
{
    relay_gather_begin();
    ssize_t got = read_records(tunnel);
    relay_gather_end();
    if (got == CONN_FAILED && !tunnel->closing)
        end_by_conn(tunnel);
    else if (got == CONN_END && !tunnel->closing)
        end(tunnel, TUNNEL_CLIENT_LOST, "the server ended the tunnel");
    else
        settle(tunnel);
}

/* The end of a turn in which something came, or the engine had something to say, or has room again.
 */
static void run_flush(struct loop_deferred *deferred)
{
    struct tunnel_client *tunnel =
        (struct tunnel_client *)((char *)deferred - offsetof(struct tunnel_client, flush));

    if (tunnel->session &&
        (tunnel->read_on || (tunnel->left_size && plex_session_can_take(tunnel->session))))
        read_all(tunnel);
    else
        settle(tunnel);
}

static void run_deadline(struct timer *timer)
{
    struct tunnel_client *tunnel =
        (struct tunnel_client *)((char *)timer - offsetof(struct tunnel_client, deadline));
    uint64_t now = loop_now(tunnel->loop);

    if (!tunnel->up && now >= tunnel->opening_until) {
        end(tunnel, TUNNEL_CLIENT_UNREACHABLE,
            tunnel->session ? "the server didn't answer the token in time"
            : tunnel->conn  ? "the TLS handshake took too long"
                            : "the server couldn't be reached in time");
        return;
    }
    tunnel->fault = plex_session_tick(tunnel->session, now);
    settle(tunnel);
}

static void on_readable(struct conn *conn)
{
    struct tunnel_client *tunnel = conn_user(conn);
    if (!tunnel->session || tunnel->closing)
        return;
    tunnel->read_on = true;
    loop_defer(tunnel->loop, &tunnel->flush); /* together with what services have in this turn */
}

static void on_writable(struct conn *conn)
{
    settle(conn_user(conn));
}

static void on_failed(struct conn *conn)
{
    end_by_conn(conn_user(conn));
}

static void on_authed(struct plex_session *session, bool accepted)
{
    struct tunnel_client *tunnel = plex_session_user(session);

    if (!accepted) {
        tunnel->refused = true; /* ends in settle(): not from within the engine */
        loop_defer(tunnel->loop, &tunnel->flush);
        return;
    }
    if (tunnel->up || tunnel->closing)
        return;
    tunnel->up = true;
    tunnel->callbacks->on_up(tunnel);
}

static void on_output(struct plex_session *session)
{
    struct tunnel_client *tunnel = plex_session_user(session);
    if (!tunnel->closing)
        loop_defer(tunnel->loop, &tunnel->flush);
}

static void on_resume(struct plex_session *session)
{
    on_output(session); /* run_flush() reads on */
}

static void on_goaway(struct plex_session *session, uint16_t code)
{
    struct tunnel_client *tunnel = plex_session_user(session);
    if (tunnel->callbacks->on_goaway && !tunnel->closing)
        tunnel->callbacks->on_goaway(tunnel);
}

static void start_session(struct tunnel_client *tunnel)
{
    struct plex_callbacks *callbacks = &tunnel->plex_callbacks;

    *callbacks = *tunnel->callbacks->substreams;
    callbacks->on_authed = on_authed;
    callbacks->on_output = on_output;
    callbacks->on_resume = on_resume;
    callbacks->on_goaway = on_goaway;
    tunnel->config.callbacks = callbacks;
    tunnel->config.allocator = &allocator;
    tunnel->session = plex_session_new(&tunnel->config, tunnel, loop_now(tunnel->loop));
    if (!tunnel->session ||
        plex_session_send_token(tunnel->session, tunnel->token, strlen(tunnel->token)) < 0)
        end(tunnel, TUNNEL_CLIENT_REFUSED,
            "this can't be a token: it is empty, too long or not UTF-8");
}

/* TLS stands. */
static void on_ready(struct conn *conn)
{
    struct tunnel_client *tunnel = conn_user(conn);
    union address address;
    char text[ADDRESS_TEXT_MAX] = "";

    if (tunnel->callbacks->on_connected && conn_peer_address(conn, &address)) {
        address = address_unmap(&address);
        tunnel->callbacks->on_connected(tunnel, address_format(&address, text),
                                        conn_tls_version(conn));
    }
    if (tunnel->closing)
        return;
    start_session(tunnel);
    settle(tunnel);
    /* Nothing says that what came together with the handshake's end brings an on_readable of its
     * own. */
    if (!tunnel->closing && tunnel->session)
        read_all(tunnel);
}

static const struct conn_callbacks conn_callbacks = {
    .on_ready = on_ready,
    .on_readable = on_readable,
    .on_writable = on_writable,
    .on_failed = on_failed,
};

static bool judge(void *user, const union address *address)
{
    return true; /* our own server may be anywhere */
}

static void looked_up(void *user)
{
}

static void connected(void *user, struct conn *conn, const union address *address)
{
    struct tunnel_client *tunnel = user;

    tunnel->dial = NULL;
    tunnel->conn = conn;
    conn_set_callbacks(conn, &conn_callbacks, tunnel);
    conn_set_tunnel_options(conn);
    if (conn_start_tls_client(conn, tunnel->tls, tunnel->host, NULL) < 0)
        end_by_conn(tunnel);
}

static void not_connected(void *user, const char *code, const char *message)
{
    struct tunnel_client *tunnel = user;

    tunnel->dial = NULL;
    end(tunnel, TUNNEL_CLIENT_UNREACHABLE, message);
}

static const struct dial_callbacks dial_callbacks = {
    .on_lookup = looked_up,
    .on_judge = judge,
    .on_connected = connected,
    .on_failed = not_connected,
};

static void free_tunnel(struct tunnel_client *tunnel)
{
    if (tunnel->token)
        explicit_bzero(tunnel->token, strlen(tunnel->token));
    tls_context_unref(tunnel->tls);
    free(tunnel->token);
    free(tunnel->host);
    free(tunnel);
}

static void run_teardown(struct loop_deferred *deferred)
{
    struct tunnel_client *tunnel =
        (struct tunnel_client *)((char *)deferred - offsetof(struct tunnel_client, teardown));
    void (*on_closed)(void *user) = tunnel->on_closed;
    void *user = tunnel->user;

    while (tunnel->session && push(tunnel) == PUSHED_SHARE)
        ; /* as much as the socket takes */
    plex_session_free(tunnel->session);
    loop_undefer(tunnel->loop, &tunnel->flush);
    dial_cancel(tunnel->dial);
    conn_close(tunnel->conn);
    free_tunnel(tunnel);
    if (on_closed)
        on_closed(user);
}

int tunnel_client_open(struct loop *loop, struct resolver *resolver,
                       const struct tunnel_client_options *options,
                       const struct tunnel_client_callbacks *callbacks, void *user,
                       struct tunnel_client **ret_tunnel)
{
    struct tunnel_client *tunnel = calloc(1, sizeof *tunnel);

    if (!tunnel)
        return -ENOMEM;
    tunnel->loop = loop;
    tunnel->callbacks = callbacks;
    tunnel->user = user;
    tunnel->host = strdup(options->host);
    tunnel->token = strdup(options->token);
    tunnel->port = options->port;
    tunnel->tls = tls_context_ref(options->tls);
    tunnel->flush.run = run_flush;
    tunnel->teardown.run = run_teardown;
    tunnel->opening_until =
        options->timeout ? loop_update_now(loop) + options->timeout : UINT64_MAX;
    plex_config_init(&tunnel->config, PLEX_DEVICE);
    tunnel->config.features = options->features;
    tunnel->config.auth_timeout = 0; /* opening_until has it */
    tunnel->config.stall_time = 0;   /* whoever reads our output may take a break */
    tunnel->config.ping_interval = options->ping_interval ? options->ping_interval : PING_INTERVAL;
    tunnel->config.ping_timeout = options->ping_timeout ? options->ping_timeout : PING_TIMEOUT;
    if (options->max_substreams)
        tunnel->config.max_substreams = options->max_substreams;

    int error = -ENOMEM;
    if (tunnel->host && tunnel->token)
        error = dial_start(loop, resolver, tunnel->host, tunnel->port, options->timeout,
                           &dial_callbacks, tunnel, &tunnel->dial);
    if (error) {
        free_tunnel(tunnel);
        return error;
    }
    timer_init(&tunnel->deadline, loop, run_deadline);
    set_deadline(tunnel);
    *ret_tunnel = tunnel;
    return 0;
}

void tunnel_client_close(struct tunnel_client *tunnel, void (*on_closed)(void *user))
{
    if (!tunnel || tunnel->closing)
        return;
    tunnel->closing = true;
    tunnel->on_closed = on_closed;
    timer_stop(&tunnel->deadline);
    loop_defer(tunnel->loop, &tunnel->teardown);
}

void *tunnel_client_user(const struct tunnel_client *tunnel)
{
    return tunnel->user;
}

struct tunnel_client *tunnel_client_of(const struct plex_session *session)
{
    return plex_session_user(session);
}

struct plex_session *tunnel_client_session(const struct tunnel_client *tunnel)
{
    return tunnel->session;
}

void tunnel_client_ping(struct tunnel_client *tunnel)
{
    if (!tunnel->up || !tunnel->session || tunnel->closing)
        return;
    plex_session_ping(tunnel->session);
    loop_defer(tunnel->loop, &tunnel->flush); /* and its deadline with it */
}
