#include "server/tunnel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/relay.h"
#include "server/auth.h"
#include "server/grant.h"
#include "server/grants.h"
#include "server/registration.h"
#include "server/worker.h"

/* What one tunnel may read and write in a turn, in records of 16 KiB: what one send takes, and soon
 * enough over for its neighbours and for its own small substreams. */
#define READS_PER_TURN  4
#define WRITES_PER_TURN 4
/* For the last words of a session whose device doesn't read them. */
#define FINISH_TIME 5000000
/* For reading what a device left, when no half-open limit is set. */
#define GONE_TIME 30000000

static const struct conn_callbacks callbacks;

static struct counters *counters(struct tunnel *tunnel)
{
    return &tunnel->worker->counters;
}

/* The gauge of credit outstanding is the budget's own sum. */
static void note_credit(struct worker *worker)
{
    atomic_store_explicit(&worker->counters.credit_bytes, (int64_t)worker->budget.used,
                          memory_order_relaxed);
}

static void service_soon(struct tunnel *tunnel)
{
    loop_defer(tunnel->worker->loop, &tunnel->service);
}

static void arm(struct tunnel *tunnel)
{
    uint64_t deadline = plex_session_deadline(tunnel->session);
    if (tunnel->gone_reason && tunnel->gone_until < deadline)
        deadline = tunnel->gone_until;
    /* The bucket is filled as often; to look again then costs less than being told. */
    if (tunnel->throttled && loop_now(tunnel->worker->loop) + GRANTS_TICK < deadline)
        deadline = loop_now(tunnel->worker->loop) + GRANTS_TICK;
    if (deadline != tunnel->timer.when && !tunnel->finish_reason)
        timer_start(&tunnel->timer, deadline);
}

static void log_opened(const struct tunnel *tunnel)
{
    char peer[ADDRESS_TEXT_MAX];
    log_write(LOG_INFO,
              LOG_FIELDS(LOG_NUMBER("tunnel", tunnel->id),
                         LOG_TEXT("peer", address_format(&tunnel->peer, peer)),
                         LOG_TEXT("user", tunnel->owner),
                         LOG_TEXT("tls", conn_tls_version(tunnel->conn)),
                         LOG_NUMBER("version", plex_session_features(tunnel->session) ? 1 : 0)),
              "tunnel authenticated");
}

static void log_closed(const struct tunnel *tunnel, const char *reason)
{
    char peer[ADDRESS_TEXT_MAX];
    struct plex_stats stats = {0};
    if (tunnel->session)
        plex_session_stats(tunnel->session, &stats);
    log_write(LOG_INFO,
              LOG_FIELDS(
                  LOG_NUMBER("tunnel", tunnel->id),
                  LOG_TEXT("peer", address_format(&tunnel->peer, peer)),
                  LOG_TEXT("user", tunnel->owner ? tunnel->owner : "-"),
                  LOG_NUMBER("bytes_in", stats.bytes_in), LOG_NUMBER("bytes_out", stats.bytes_out),
                  LOG_NUMBER("age_ms", (loop_now(tunnel->worker->loop) - tunnel->opened_at) / 1000),
                  LOG_TEXT("reason", reason)),
              "tunnel closed");
}

void tunnel_close(struct tunnel *tunnel, const char *reason)
{
    struct worker *worker = tunnel->worker;
    log_closed(tunnel, reason);
    tunnel->finish_reason = reason; /* what ends below finds it closing */
    timer_stop(&tunnel->timer);
    loop_undefer(worker->loop, &tunnel->service);
    if (tunnel->next)
        tunnel->next->previous = tunnel->previous;
    if (tunnel->previous)
        tunnel->previous->next = tunnel->next;
    else
        worker->tunnels = tunnel->next;
    worker->tunnel_count--;
    worker_drop_slot(worker, tunnel->slot);
    registration_free(tunnel);
    plex_session_free(tunnel->session); /* tells each outbound and inbound that it is over */
    note_credit(worker);
    conn_close(tunnel->conn);
    admission_report(worker->host->admission, &tunnel->peer,
                     tunnel->owner ? ADMISSION_GONE_AUTHED : ADMISSION_GONE_UNAUTHED);
    counter_add(&worker->counters.tunnels, -1);
    if (tunnel->owner)
        counter_add(&worker->counters.tunnels_authed, -1);
    if (tunnel->owner)
        grant_leave(tunnel->grant);
    grant_unref(tunnel->grant);
    free(tunnel->left);
    free(tunnel->owner);
    free(tunnel->plex);
    free(tunnel);
    worker_check_drained(worker);
}

void tunnel_finish(struct tunnel *tunnel, const char *reason)
{
    if (tunnel->finish_reason)
        return;
    tunnel->finish_reason = reason;
    timer_start(&tunnel->timer, loop_now(tunnel->worker->loop) + FINISH_TIME);
    service_soon(tunnel);
}

/* The device is gone, while what it sent last waits to be read: until the end of this turn, or as
 * long as a slow target holds it up; it has the half-open limit for that. */
static void let_go(struct tunnel *tunnel, const char *reason)
{
    struct worker *worker = tunnel->worker;
    uint64_t limit = worker->setup.config->settings.half_open_timeout;
    if (tunnel->gone_reason)
        return;
    if (!tunnel->session || tunnel->finish_reason) {
        tunnel_close(tunnel, reason);
        return;
    }
    tunnel->gone_reason = reason;
    tunnel->gone_until = loop_now(worker->loop) + (limit ? limit : GONE_TIME);
    tunnel->read_on = true;
    service_soon(tunnel);
}

/* The session is over by a fault: the device is told, then the tunnel closes. */
static void fault(struct tunnel *tunnel, int error)
{
    counter_add(&counters(tunnel)->tunnel_faults, 1);
    log_write(
        LOG_WARNING,
        LOG_FIELDS(LOG_NUMBER("tunnel", tunnel->id), LOG_TEXT("fault", plex_error_name(error))),
        "tunnel fault: %s", plex_error_text(error));
    tunnel_finish(tunnel, plex_error_text(error));
}

static int keep_left(struct tunnel *tunnel, const unsigned char *bytes, size_t size)
{
    void *left = malloc(size);
    if (!left)
        return -ENOMEM;
    memcpy(left, bytes, size);
    tunnel->left = left;
    tunnel->left_size = (uint32_t)size;
    tunnel->left_taken = 0;
    return 0;
}

static int feed(struct tunnel *tunnel, const unsigned char *bytes, size_t size, size_t *ret_taken)
{
    /* The time as it is, not as it was when the turn began: round trips are measured by it. */
    int error = plex_session_feed(tunnel->session, bytes, size,
                                  loop_update_now(tunnel->worker->loop), ret_taken);
    if (error < 0)
        fault(tunnel, error);
    return error;
}

/* True when nothing is left of what the session would not take before. */
static bool feed_left(struct tunnel *tunnel)
{
    size_t taken = 0;
    if (!tunnel->left)
        return true;
    if (feed(tunnel, (unsigned char *)tunnel->left + tunnel->left_taken,
             tunnel->left_size - tunnel->left_taken, &taken) < 0)
        return false;
    tunnel->left_taken += (uint32_t)taken;
    if (tunnel->left_taken < tunnel->left_size)
        return false;
    free(tunnel->left);
    tunnel->left = NULL;
    return true;
}

/* How many of `most` bytes may move now; 0: the tunnel is throttled. The least that the engine
 * writes is more than a bucket may hold, so it may be overdrawn by that. */
static size_t room_to_move(struct tunnel *tunnel, size_t most)
{
    size_t room = grant_room(tunnel->grant);
    tunnel->throttled = !room;
    if (room && room < PLEX_PULL_MIN)
        room = PLEX_PULL_MIN;
    return room < most ? room : most;
}

/* Reads and feeds until there is nothing, the session is full, or the turn's share is used. Returns
 * a reason when the tunnel is to be closed. */
static const char *read_records(struct tunnel *tunnel)
{
    struct worker *worker = tunnel->worker;
    tunnel->read_on = false;
    if (!feed_left(tunnel))
        return NULL;
    for (int i = 0; i < READS_PER_TURN; i++) {
        if (tunnel->finish_reason || !plex_session_can_take(tunnel->session))
            return NULL;
        size_t taken = 0;
        size_t room = room_to_move(tunnel, sizeof worker->in);
        if (!room) {
            tunnel->read_on = true; /* what waits is read when the bucket is filled */
            return NULL;
        }
        ssize_t count = conn_read(tunnel->conn, worker->in, room);
        if (count == CONN_WAIT)
            return NULL;
        if (count == CONN_END)
            return "device closed the tunnel";
        if (count < 0)
            return conn_error_text(tunnel->conn);
        grant_count(tunnel->grant, (size_t)count);
        if (feed(tunnel, worker->in, (size_t)count, &taken) < 0)
            return NULL;
        if (taken < (size_t)count) {
            if (keep_left(tunnel, worker->in + taken, (size_t)count - taken) < 0)
                return "out of memory";
            return NULL;
        }
    }
    tunnel->read_on = true;
    return NULL;
}

static const char *read_tunnel(struct tunnel *tunnel)
{
    relay_gather_begin();
    const char *over = read_records(tunnel);
    relay_gather_end();
    return over;
}

/* How far writing came in a turn. */
enum written { WRITTEN_ALL, WRITTEN_SHARE, WRITTEN_TILL_FULL, WRITTEN_FAILED };

/* Pulls and writes until there is nothing, the socket is full, or the turn's share is used. */
static enum written write_records(struct tunnel *tunnel)
{
    struct worker *worker = tunnel->worker;
    for (int i = 0; conn_can_write(tunnel->conn); i++) {
        if (i == WRITES_PER_TURN)
            return WRITTEN_SHARE;
        size_t room =
            tunnel->finish_reason ? sizeof worker->out : room_to_move(tunnel, sizeof worker->out);
        if (!room)
            return WRITTEN_TILL_FULL;
        size_t size =
            plex_session_pull(tunnel->session, worker->out, room, loop_update_now(worker->loop));
        if (size == 0)
            return WRITTEN_ALL;
        grant_count(tunnel->grant, size);
        if (conn_write(tunnel->conn, worker->out, size) == CONN_FAILED)
            return WRITTEN_FAILED;
    }
    return WRITTEN_TILL_FULL;
}

static enum written write_tunnel(struct tunnel *tunnel)
{
    conn_cork(tunnel->conn);
    enum written written = write_records(tunnel);
    return conn_uncork(tunnel->conn) < 0 ? WRITTEN_FAILED : written;
}

/* What would be said to a device that is gone: dropped, for a session that waits to say it doesn't
 * take what came before the end. */
static enum written drop_records(struct tunnel *tunnel)
{
    struct worker *worker = tunnel->worker;
    for (int i = 0; i < WRITES_PER_TURN; i++)
        if (plex_session_pull(tunnel->session, worker->out, sizeof worker->out,
                              loop_now(worker->loop)) == 0)
            return WRITTEN_ALL;
    return WRITTEN_SHARE;
}

/* All that a tunnel does in a turn, however many events asked for it. */
static void service(struct loop_deferred *deferred)
{
    struct tunnel *tunnel = (struct tunnel *)((char *)deferred - offsetof(struct tunnel, service));
    struct worker *worker = tunnel->worker;
    enum written written = WRITTEN_ALL;
    const char *over = NULL;
    if (!tunnel->session)
        return;
    if (tunnel->read_on)
        over = read_tunnel(tunnel);
    if (!over && (tunnel->finish_reason || plex_session_has_output(tunnel->session)))
        registration_send_visits(tunnel);
    if (!over)
        written = tunnel->gone_reason ? drop_records(tunnel) : write_tunnel(tunnel);
    if (!over && written == WRITTEN_ALL)
        over = tunnel->finish_reason;
    if (over) {
        tunnel_close(tunnel, tunnel->gone_reason ? tunnel->gone_reason : over);
        return;
    }
    if (written == WRITTEN_FAILED) {
        let_go(tunnel, conn_error_text(tunnel->conn));
        return;
    }
    arm(tunnel);
    if ((tunnel->read_on && !tunnel->throttled) ||
        (written == WRITTEN_SHARE && plex_session_has_output(tunnel->session)))
        loop_defer_next(worker->loop, &tunnel->service);
    note_credit(worker);
}

static void on_readable(struct conn *conn)
{
    struct tunnel *tunnel = conn_user(conn);
    tunnel->read_on = true;
    service_soon(tunnel);
}

static void on_writable(struct conn *conn)
{
    service_soon(conn_user(conn));
}

static void on_ready(struct conn *conn)
{
    struct tunnel *tunnel = conn_user(conn);
    struct worker *worker = tunnel->worker;
    counter_add(&worker->counters.handshakes, 1);
    if (conn_tls_resumed(conn))
        counter_add(&worker->counters.handshakes_resumed, 1);
    tunnel->session = plex_session_new(&worker->plex, tunnel, loop_now(worker->loop));
    if (!tunnel->session) {
        tunnel_close(tunnel, "out of memory");
        return;
    }
    /* Old devices hold their next small write back until our ACK comes. */
    conn_set_quickack(conn, true);
    on_readable(conn);
}

static void on_hangup(struct conn *conn)
{
    let_go(conn_user(conn), "device hung up");
}

static void on_failed(struct conn *conn)
{
    struct tunnel *tunnel = conn_user(conn);
    if (!tunnel->session)
        counter_add(&counters(tunnel)->handshakes_failed, 1);
    let_go(tunnel, conn_error_text(conn));
}

static const struct conn_callbacks callbacks = {
    .on_ready = on_ready,
    .on_readable = on_readable,
    .on_writable = on_writable,
    .on_hangup = on_hangup,
    .on_failed = on_failed,
};

static void on_timer(struct timer *timer)
{
    struct tunnel *tunnel = (struct tunnel *)((char *)timer - offsetof(struct tunnel, timer));
    if (tunnel->finish_reason) {
        tunnel_close(tunnel, tunnel->finish_reason);
        return;
    }
    if (tunnel->gone_reason && loop_now(tunnel->worker->loop) >= tunnel->gone_until) {
        tunnel_close(tunnel, tunnel->gone_reason);
        return;
    }
    if (!tunnel->session) {
        counter_add(&counters(tunnel)->handshakes_failed, 1);
        tunnel_close(tunnel, "TLS handshake took too long");
        return;
    }
    int error = plex_session_tick(tunnel->session, loop_now(tunnel->worker->loop));
    if (error < 0)
        fault(tunnel, error);
    else
        service_soon(tunnel);
}

static void add(struct worker *worker, struct tunnel *tunnel)
{
    tunnel->next = worker->tunnels;
    if (tunnel->next)
        tunnel->next->previous = tunnel;
    worker->tunnels = tunnel;
    worker->tunnel_count++;
    counter_add(&worker->counters.tunnels, 1);
    counter_add(&worker->counters.tunnels_opened, 1);
}

/* Who read from it before made it non-blocking then. */
static int open_conn(struct tunnel *tunnel, int fd, const void *left, size_t left_size)
{
    struct loop *loop = tunnel->worker->loop;
    if (left_size == 0)
        return conn_open(loop, fd, &callbacks, tunnel, &tunnel->conn);
    return conn_attach(loop, fd, left, left_size, &callbacks, tunnel, &tunnel->conn);
}

void tunnel_open(struct worker *worker, int fd, const void *left, size_t left_size,
                 const union address *peer, uint64_t id, bool old)
{
    struct tls_context *tls = old ? worker->setup.tls_old : worker->setup.tls;
    bool ends = worker->draining || worker->stopped;
    struct tunnel *tunnel = ends ? NULL : calloc(1, sizeof *tunnel);
    if (!tunnel || worker_take_slot(worker, tunnel, &tunnel->slot, &tunnel->generation) < 0)
        goto no_tunnel;
    tunnel->worker = worker;
    tunnel->id = id;
    tunnel->peer = *peer;
    tunnel->old = old;
    tunnel->opened_at = loop_now(worker->loop);
    tunnel->service.run = service;
    if (open_conn(tunnel, fd, left, left_size) < 0)
        goto no_conn;
    timer_init(&tunnel->timer, worker->loop, on_timer);
    timer_start(&tunnel->timer,
                tunnel->opened_at + worker->setup.config->settings.handshake_timeout);
    add(worker, tunnel);
    conn_set_tunnel_options(tunnel->conn);
    if (!tls || conn_start_tls_server(tunnel->conn, tls) < 0)
        tunnel_close(tunnel, "no TLS for it");
    return;

no_conn:
    worker_drop_slot(worker, tunnel->slot);
no_tunnel:
    log_write(ends ? LOG_INFO : LOG_ERROR, LOG_FIELDS(LOG_NUMBER("tunnel", id)),
              ends ? "tunnel dropped: server drains"
                   : "tunnel dropped: out of memory or descriptors");
    free(tunnel);
    close(fd);
    admission_report(worker->host->admission, peer, ADMISSION_GONE_UNAUTHED);
}

/* The worker's settings with what the grant makes of them. */
static void narrow(struct plex_config *plex, const struct tunnel *tunnel)
{
    uint32_t most = tunnel->grant->max_substreams;
    *plex = tunnel->worker->plex;
    if (most && most < plex->max_substreams)
        plex->max_substreams = most;
}

void tunnel_configure(struct tunnel *tunnel)
{
    if (tunnel->session) {
        if (tunnel->plex)
            narrow(tunnel->plex, tunnel);
        plex_session_configure(tunnel->session,
                               tunnel->plex ? tunnel->plex : &tunnel->worker->plex);
        arm(tunnel);
    }
}

void tunnel_drain(struct tunnel *tunnel)
{
    if (!tunnel->session) {
        tunnel_close(tunnel, "server drains");
        return;
    }
    if (plex_session_is_authed(tunnel->session)) {
        plex_session_goaway(tunnel->session, 0);
        service_soon(tunnel);
    }
    if (tunnel->substreams == 0)
        tunnel_finish(tunnel, "server drains");
}

void tunnel_substream_over(struct tunnel *tunnel)
{
    tunnel->substreams--;
    if (tunnel->worker->draining && tunnel->substreams == 0)
        tunnel_finish(tunnel, "server drains");
}

/* Authentication
 * -------------------------------------------------------------------------------------------- */

static void note_authenticated(struct tunnel *tunnel)
{
    admission_report(tunnel->worker->host->admission, &tunnel->peer, ADMISSION_AUTHED);
    counter_add(&counters(tunnel)->tunnels_authed, 1);
    if (plex_session_features(tunnel->session))
        conn_set_quickack(tunnel->conn, false);
    log_opened(tunnel);
}

static void refuse_token(struct tunnel *tunnel, bool system_error)
{
    struct counters *count = counters(tunnel);
    char peer[ADDRESS_TEXT_MAX];
    counter_add(system_error ? &count->auth_system_errors : &count->auth_refused, 1);
    log_write(LOG_WARNING,
              LOG_FIELDS(LOG_NUMBER("tunnel", tunnel->id),
                         LOG_TEXT("peer", address_format(&tunnel->peer, peer))),
              system_error ? "token not checked: auth system error" : "token refused");
    if (system_error && plex_session_asked(tunnel->session) &&
        !plex_session_is_authed(tunnel->session))
        /* An agent ends for good when its token is refused, and comes back when a tunnel is lost;
         * old devices know a refusal alone. */
        tunnel_finish(tunnel, "its token could not be checked");
    else if (plex_session_authorize(tunnel->session, false) < 0)
        tunnel_finish(tunnel, "session over while its token was checked");
}

/* The first token's grant is the tunnel's. 0 or -1 without memory. */
static int take_grant(struct tunnel *tunnel, struct grant *grant)
{
    if (!grant)
        return 0;
    tunnel->grant = grant_ref(grant);
    if (!grant->max_substreams)
        return 0;
    tunnel->plex = malloc(sizeof *tunnel->plex);
    if (!tunnel->plex)
        return -1;
    narrow(tunnel->plex, tunnel);
    plex_session_configure(tunnel->session, tunnel->plex);
    return 0;
}

/* A tunnel stays its first owner's, whatever tokens follow. The owner is known before the session
 * hears of it, for what was held until then begins at once. */
static void accept_token(struct tunnel *tunnel, const char *owner, struct grant *grant)
{
    bool first = !tunnel->owner;
    if (first && !grant_enter(grant)) {
        log_write(LOG_WARNING,
                  LOG_FIELDS(LOG_NUMBER("tunnel", tunnel->id), LOG_TEXT("user", owner),
                             LOG_TEXT("token", grant->token_uuid)),
                  "this token has as many tunnels as it may have");
        refuse_token(tunnel, false);
        return;
    }
    counter_add(&counters(tunnel)->auth_accepted, 1);
    if (first && (!(tunnel->owner = strdup(owner)) || take_grant(tunnel, grant) < 0)) {
        if (!tunnel->grant)
            grant_leave(grant);
        tunnel_finish(tunnel, "out of memory");
        return;
    }
    if (plex_session_authorize(tunnel->session, true) < 0)
        tunnel_finish(tunnel, "session over while its token was checked");
    if (first)
        note_authenticated(tunnel);
}

static void decide(struct tunnel *tunnel, enum auth_result result, const char *owner,
                   struct grant *grant)
{
    switch (result) {
    case AUTH_ACCEPTED:
        accept_token(tunnel, owner, grant);
        break;
    case AUTH_NOT_MINE: /* a judge's word, which auth.c keeps to itself */
    case AUTH_REFUSED:
        refuse_token(tunnel, false);
        break;
    case AUTH_SYSTEM_ERROR:
        refuse_token(tunnel, true);
        break;
    }
    service_soon(tunnel);
}

void tunnel_authorize(struct tunnel *tunnel, const struct auth_question *question)
{
    if (question->generation == tunnel->token_generation && tunnel->session &&
        !tunnel->finish_reason)
        decide(tunnel, question->result, question->owner, question->grant);
}

/* On the worker's loop; the tunnel may be gone, and its slot another's. */
static void take_answer(struct loop_message *message)
{
    struct auth_question *question = (struct auth_question *)message;
    struct worker *worker = question->user;
    struct tunnel *tunnel =
        worker_find(worker, (uint32_t)(question->tunnel >> 32), (uint32_t)question->tunnel);
    if (tunnel)
        tunnel_authorize(tunnel, question);
    auth_question_free(question);
}

void tunnel_on_token(struct plex_session *session, const char *token, size_t length)
{
    struct tunnel *tunnel = plex_session_user(session);
    struct worker *worker = tunnel->worker;
    const struct config *config = worker->setup.config;
    tunnel->token_generation++;
    if (auth_knows_tokens(config)) {
        const char *owner = tokens_find(&config->tokens, token, length);
        if (owner || auth_is_local(config)) {
            decide(tunnel, owner ? AUTH_ACCEPTED : AUTH_REFUSED, owner, NULL);
            return;
        }
    }
    struct auth_question *question = auth_question_new(token, length);
    if (!question) {
        decide(tunnel, AUTH_SYSTEM_ERROR, NULL, NULL);
        return;
    }
    question->reply_to = worker->loop;
    question->answered = take_answer;
    question->tunnel = (uint64_t)tunnel->slot << 32 | tunnel->generation;
    question->generation = tunnel->token_generation;
    question->user = worker;
    auth_ask(worker->host->auth, worker->host->loop, question);
}

void tunnel_on_output(struct plex_session *session)
{
    service_soon(plex_session_user(session));
}

void tunnel_on_resume(struct plex_session *session)
{
    struct tunnel *tunnel = plex_session_user(session);
    tunnel->read_on = true;
    service_soon(tunnel);
}

void tunnel_take_again(struct tunnel *tunnel)
{
    plex_session_resume(tunnel->session);
    tunnel->read_on = true;
    /* Not this turn: what makes room may be what a tunnel in its share of a turn does itself. */
    loop_defer_next(tunnel->worker->loop, &tunnel->service);
}
