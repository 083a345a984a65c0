#include "server/outbound.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "server/grant.h"
#include "server/outbound_internal.h"
#include "server/tunnel.h"

static const struct serve_settings *settings_of(const struct outbound *outbound)
{
    return &outbound->worker->setup.config->settings;
}

static uint64_t tunnel_id_of(const struct outbound *outbound)
{
    return outbound->linger ? outbound->linger->tunnel_id : outbound->tunnel->id;
}

static uint16_t substream_id_of(const struct outbound *outbound)
{
    return outbound->linger ? outbound->linger->substream_id
                            : plex_substream_id(outbound->substream);
}

static const char *owner_of(const struct outbound *outbound)
{
    return outbound->linger ? outbound->linger->owner : outbound->tunnel->owner;
}

/* What only a substream that is still there can be told. */
static void notify(struct outbound *outbound, enum plex_event event, const char *text)
{
    if (outbound->substream)
        plex_substream_notify(outbound->substream, event, text);
}

void outbound_count_spill(struct outbound *outbound)
{
    size_t spill = outbound->relay.spill.size;
    if (spill == outbound->counted_spill)
        return;
    counter_add(&outbound->worker->counters.buffered_bytes,
                (int64_t)spill - (int64_t)outbound->counted_spill);
    outbound->counted_spill = spill;
}

/* The end of an outbound
 * ------------------------------------------------------------------------------------ */

static void log_over(const struct outbound *outbound, const char *reason)
{
    char address[ADDRESS_TEXT_MAX] = "-";
    uint64_t in, out;
    if (outbound->linger) {
        in = outbound->linger->bytes_in;
        out = outbound->linger->bytes_out;
    } else {
        plex_substream_bytes(outbound->substream, &in, &out);
    }
    if (outbound->address.any.sa_family)
        address_format(&outbound->address, address);
    log_write(
        LOG_INFO,
        LOG_FIELDS(LOG_NUMBER("tunnel", tunnel_id_of(outbound)),
                   LOG_NUMBER("substream", substream_id_of(outbound)),
                   LOG_TEXT("user", owner_of(outbound)),
                   LOG_TEXT("host", outbound->host ? outbound->host : "-"),
                   LOG_NUMBER("port", outbound->port), LOG_TEXT("address", address),
                   LOG_NUMBER("bytes_up", in), LOG_NUMBER("bytes_down", out),
                   LOG_NUMBER("duration_ms", (outbound_now(outbound) - outbound->opened_at) / 1000),
                   LOG_TEXT("reason", reason)),
        "substream closed");
}

static void dial_over(struct outbound *outbound)
{
    outbound->dial = NULL;
    counter_add(&outbound->worker->counters.dials_pending, -1);
    if (outbound->tunnel)
        outbound->tunnel->dials--;
}

static void stop_dial(struct outbound *outbound)
{
    if (!outbound->dial)
        return;
    dial_cancel(outbound->dial);
    dial_over(outbound);
}

void outbound_over(struct outbound *outbound, bool orderly, const char *reason)
{
    struct tunnel *tunnel = outbound->tunnel;
    struct worker *worker = outbound->worker;
    log_over(outbound, reason);
    stop_dial(outbound);
    timer_stop(&outbound->timer);
    if (orderly)
        conn_close(outbound->conn);
    else
        conn_abort(outbound->conn);
    outbound->conn = NULL;
    relay_deinit(&outbound->relay);
    outbound_count_spill(outbound);
    worker_reclaim(worker, &outbound->reclaim);
    if (outbound->linger) {
        outbound_linger_end(outbound);
        return;
    }
    plex_substream_set_user(outbound->substream, NULL);
    outbound->substream = NULL;
    counter_add(&worker->counters.substreams, -1);
    tunnel_substream_over(tunnel);
}

static void free_outbound(struct reclaim *reclaim)
{
    struct outbound *outbound =
        (struct outbound *)((char *)reclaim - offsetof(struct outbound, reclaim));
    grant_unref(outbound->grant);
    free(outbound->host);
    free(outbound->linger);
    free(outbound);
}

static void close_outbound(struct outbound *outbound, const char *reason)
{
    struct plex_substream *substream = outbound->substream;
    outbound_over(outbound, true, reason);
    if (substream)
        plex_substream_close(substream);
}

static void abort_outbound(struct outbound *outbound, const char *message, const char *code)
{
    struct plex_substream *substream = outbound->substream;
    /* The texts may be the connection's own, which goes with `over`. */
    char kept[PLEX_MESSAGE_MAX + 1], kept_code[64];
    snprintf(kept, sizeof kept, "%s", message);
    snprintf(kept_code, sizeof kept_code, "%s", code);
    outbound_over(outbound, false, kept);
    if (substream)
        plex_substream_abort(substream, kept, kept_code);
}

void outbound_on_gone(struct plex_substream *substream, int reason)
{
    struct outbound *outbound = plex_substream_user(substream);
    if (!outbound)
        return;
    if (reason == PLEX_SUBSTREAM_STALLED)
        counter_add(&outbound->worker->counters.stalls, 1);
    if (reason == PLEX_SUBSTREAM_TUNNEL_GONE && outbound_linger_start(outbound))
        return;
    /* A target that has seen the device's end, or that ended itself, has what it needs to know; any
     * other is told by a reset that what it got may not be all. */
    bool orderly = reason == PLEX_SUBSTREAM_CLOSED || outbound->relay.shut_down ||
                   (outbound->relay.pull_ended && !outbound->relay.spill.size);
    outbound_over(outbound, orderly, plex_error_text(reason));
}

/* --- Time --- */

/* When the target has ended, and neither did the device, which may never say `end`, send more since
 * nor the target take more. */
static uint64_t half_open_deadline(const struct outbound *outbound)
{
    const struct relay *relay = &outbound->relay;
    uint64_t limit = settings_of(outbound)->half_open_timeout;
    if (!outbound->tunnel || !relay->pull_ended || !limit ||
        plex_session_features(outbound->tunnel->session))
        return UINT64_MAX;
    return outbound->uploaded_at + limit;
}

void outbound_arm(struct outbound *outbound)
{
    uint64_t when = half_open_deadline(outbound);
    if (outbound->tls_deadline && outbound->tls_deadline < when)
        when = outbound->tls_deadline;
    if (outbound->idle_time && !outbound->idle_told &&
        outbound->active_at + outbound->idle_time < when)
        when = outbound->active_at + outbound->idle_time;
    if (outbound->linger && outbound->linger->deadline < when)
        when = outbound->linger->deadline;
    /* Activity moves the deadlines all the time; the timer finds that out when it runs. */
    if (when < outbound->timer.when || !timer_is_running(&outbound->timer))
        timer_start(&outbound->timer, when);
}

static void on_timer(struct timer *timer)
{
    struct outbound *outbound =
        (struct outbound *)((char *)timer - offsetof(struct outbound, timer));
    uint64_t now = outbound_now(outbound);
    if (outbound->tls_deadline && now >= outbound->tls_deadline) {
        char message[ADDRESS_TEXT_MAX + 32], address[ADDRESS_TEXT_MAX];
        snprintf(message, sizeof message, "TLS handshake ETIMEDOUT %s",
                 address_format_plain(&outbound->address, address));
        abort_outbound(outbound, message, "ETIMEDOUT");
        return;
    }
    if (outbound->linger && now >= outbound->linger->deadline) {
        outbound_over(outbound, false, "tunnel closed, and its data couldn't be delivered in time");
        return;
    }
    if (now >= half_open_deadline(outbound)) {
        struct plex_substream *substream = outbound->substream;
        outbound_over(outbound, !outbound->relay.spill.size, "half-open for too long");
        plex_substream_close(substream);
        return;
    }
    if (outbound->idle_time && !outbound->idle_told &&
        now >= outbound->active_at + outbound->idle_time) {
        outbound->idle_told = true;
        notify(outbound, PLEX_EVENT_TIMEOUT, NULL);
    }
    if (outbound->linger) {
        outbound_linger_drop(outbound);
        return;
    }
    outbound_arm(outbound);
}

static void note_activity(struct outbound *outbound)
{
    outbound->active_at = outbound_now(outbound);
    if (outbound->idle_told) {
        outbound->idle_told = false;
        outbound_arm(outbound);
    }
}

void outbound_on_timeout(struct plex_substream *substream, uint32_t milliseconds)
{
    struct outbound *outbound = plex_substream_user(substream);
    outbound->idle_time = (uint64_t)milliseconds * 1000;
    outbound->idle_told = false;
    outbound->active_at = outbound_now(outbound);
    outbound_arm(outbound);
}

/* --- The relay --- */

static void tell_ready(struct relay *relay)
{
    plex_substream_ready(((struct outbound *)relay)->substream);
}

static void tell_consumed(struct relay *relay, size_t length)
{
    struct outbound *outbound = (struct outbound *)relay;
    outbound->uploaded_at = outbound_now(outbound);
    if (outbound->substream)
        plex_substream_consume(outbound->substream, length);
}

static void tell_end(struct relay *relay)
{
    struct outbound *outbound = (struct outbound *)relay;
    plex_substream_end(outbound->substream);
    outbound->uploaded_at = outbound_now(outbound);
    outbound_arm(outbound);
}

static const struct relay_active_ops active_ops = {tell_ready, tell_consumed, tell_end};

static void on_relay_done(struct relay *relay)
{
    close_outbound((struct outbound *)relay, "closed");
}

static void on_relay_failed(struct relay *relay, const char *operation)
{
    struct outbound *outbound = (struct outbound *)relay;
    const char *code = outbound->conn ? conn_error_code(outbound->conn) : "ENOMEM";
    char message[128];
    snprintf(message, sizeof message, "%s %s", operation, code);
    abort_outbound(outbound, message, code);
}

static const struct relay_owner_ops owner_ops = {on_relay_done, on_relay_failed};

void outbound_on_data(struct plex_substream *substream, const void *data, size_t length)
{
    struct outbound *outbound = plex_substream_user(substream);
    counter_add(&outbound->worker->counters.bytes_from_devices, (int64_t)length);
    note_activity(outbound);
    outbound->uploaded_at = outbound->active_at;
    relay_push(&outbound->relay, data, length);
    if (outbound->substream)
        outbound_count_spill(outbound);
}

void outbound_on_end(struct plex_substream *substream)
{
    struct outbound *outbound = plex_substream_user(substream);
    /* A device that gives up before it asked for, or got, its target has nothing to wait for. */
    if (!outbound->dial && !outbound->conn) {
        close_outbound(outbound, "ended before a target was asked for");
        return;
    }
    relay_push_end(&outbound->relay);
}

size_t outbound_on_pull(struct plex_substream *substream, void *buffer, size_t capacity)
{
    struct outbound *outbound = plex_substream_user(substream);
    size_t count = relay_pull(&outbound->relay, buffer, capacity);
    if (count) {
        counter_add(&outbound->worker->counters.bytes_to_devices, (int64_t)count);
        note_activity(outbound);
    }
    return count;
}

/* --- The target --- */

/* Something was passed on, or not. */
static void settle(struct outbound *outbound)
{
    if (outbound->substream)
        outbound_count_spill(outbound);
    else if (outbound->conn) /* lingering, and not over just now */
        outbound_linger_step(outbound);
}

static void join(struct outbound *outbound)
{
    relay_join(&outbound->relay, &relay_conn_ops, outbound->conn);
    settle(outbound);
}

static void on_target_ready(struct conn *conn)
{
    struct outbound *outbound = conn_user(conn);
    outbound->tls_deadline = 0;
    notify(outbound, PLEX_EVENT_SECURE_CONNECT, NULL);
    join(outbound);
}

static void on_target_readable(struct conn *conn)
{
    struct outbound *outbound = conn_user(conn);
    if (outbound->linger)
        outbound_linger_drop(outbound);
    else
        relay_readable(&outbound->relay);
}

static void on_target_writable(struct conn *conn)
{
    struct outbound *outbound = conn_user(conn);
    relay_writable(&outbound->relay);
    settle(outbound);
}

static void on_target_failed(struct conn *conn)
{
    struct outbound *outbound = conn_user(conn);
    if (!outbound->relay.passive_end) {
        abort_outbound(outbound, conn_error_text(conn), conn_error_code(conn));
        return;
    }
    on_relay_failed(&outbound->relay, "read");
}

static const struct conn_callbacks target_callbacks = {
    .on_ready = on_target_ready,
    .on_readable = on_target_readable,
    .on_writable = on_target_writable,
    .on_failed = on_target_failed,
};

static void start_tls(struct outbound *outbound)
{
    struct worker *worker = outbound->worker;
    char key[PLEX_HOST_MAX + 8];
    snprintf(key, sizeof key, "%s:%u", outbound->host, outbound->port);
    outbound->tls_deadline = outbound_now(outbound) + settings_of(outbound)->dial_timeout;
    outbound_arm(outbound);
    if (conn_start_tls_client(outbound->conn, worker->setup.tls_client, outbound->host, key) < 0)
        abort_outbound(outbound, "TLS could not be started", "ENOMEM");
}

static void on_lookup(void *user)
{
    notify(user, PLEX_EVENT_LOOKUP, NULL);
}

static bool on_judge(void *user, const union address *address)
{
    struct outbound *outbound = user;
    struct egress_verdict verdict;
    char text[ADDRESS_TEXT_MAX];
    egress_judge(&outbound->worker->setup.config->egress, address, &verdict);
    if (verdict.allowed && grant_may_dial(outbound->grant, address, &verdict))
        return true;
    log_write(LOG_WARNING,
              LOG_FIELDS(LOG_NUMBER("tunnel", tunnel_id_of(outbound)),
                         LOG_NUMBER("substream", substream_id_of(outbound)),
                         LOG_TEXT("user", owner_of(outbound)), LOG_TEXT("host", outbound->host),
                         LOG_TEXT("address", address_format(address, text)),
                         LOG_TEXT("rule", verdict.rule)),
              "dial refused");
    return false;
}

static void on_connected(void *user, struct conn *conn, const union address *address)
{
    struct outbound *outbound = user;
    char text[ADDRESS_TEXT_MAX];
    dial_over(outbound);
    counter_add(&outbound->worker->counters.dials_connected, 1);
    outbound->conn = conn;
    outbound->address = *address;
    conn_set_callbacks(conn, &target_callbacks, outbound);
    note_activity(outbound);
    notify(outbound, PLEX_EVENT_CONNECT, address_format(address, text));
    if (outbound->tls)
        start_tls(outbound);
    else
        join(outbound);
}

static void on_dial_failed(void *user, const char *code, const char *message)
{
    struct outbound *outbound = user;
    struct counters *counters = &outbound->worker->counters;
    dial_over(outbound);
    if (!strcmp(code, "EACCES"))
        counter_add(&counters->dials_refused, 1);
    else if (!strcmp(code, "ENOTFOUND") || !strcmp(code, "EAI_AGAIN"))
        counter_add(&counters->dials_lookup_failed, 1);
    else
        counter_add(&counters->dials_failed, 1);
    abort_outbound(outbound, message, code);
}

static const struct dial_callbacks dial_callbacks = {on_lookup, on_judge, on_connected,
                                                     on_dial_failed};

void outbound_on_connect(struct plex_substream *substream, const char *host, uint16_t port)
{
    struct outbound *outbound = plex_substream_user(substream);
    struct worker *worker = outbound->worker;
    const struct serve_settings *settings = settings_of(outbound);
    outbound->host = strdup(host);
    outbound->port = port;
    if (!outbound->host) {
        abort_outbound(outbound, "out of memory", "ENOMEM");
        return;
    }
    if (grant_is_exhausted(outbound->grant)) {
        abort_outbound(outbound, "this month's bytes are used up", "QUOTA_EXCEEDED");
        return;
    }
    if (outbound->tunnel->dials >= settings->max_dials) {
        abort_outbound(outbound, "too many dials under way", "EAGAIN");
        return;
    }
    if (dial_start(worker->loop, worker->resolver, host, port, settings->dial_timeout,
                   &dial_callbacks, outbound, &outbound->dial) < 0) {
        abort_outbound(outbound, "out of memory", "ENOMEM");
        return;
    }
    outbound->tunnel->dials++;
    counter_add(&worker->counters.dials_pending, 1);
}

void outbound_on_open(struct plex_substream *substream, enum plex_kind kind, const char *service,
                      const char *visitor)
{
    struct tunnel *tunnel = plex_session_user(plex_substream_session(substream));
    struct outbound *outbound = calloc(1, sizeof *outbound);
    if (!outbound) {
        plex_substream_abort(substream, "out of memory", "ENOMEM");
        return;
    }
    relay_init(&outbound->relay, &active_ops, &owner_ops);
    outbound->substream = substream;
    outbound->reclaim.free = free_outbound;
    outbound->tunnel = tunnel;
    outbound->grant = tunnel->grant ? grant_ref(tunnel->grant) : NULL;
    outbound->worker = tunnel->worker;
    outbound->tls = kind == PLEX_TLS;
    outbound->opened_at = outbound->active_at = loop_now(tunnel->worker->loop);
    timer_init(&outbound->timer, tunnel->worker->loop, on_timer);
    plex_substream_set_user(substream, outbound);
    tunnel->substreams++;
    counter_add(&tunnel->worker->counters.substreams, 1);
    counter_add(&tunnel->worker->counters.substreams_opened, 1);
}
