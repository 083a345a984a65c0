#include "server/inbound.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "server/grant.h"
#include "server/registration.h"
#include "server/tunnel.h"
#include "server/worker.h"

/* What an agent said of a failure, kept from `error` to the end that follows. */
struct agent_error {
    char code[33]; /* the engine cuts it */
    char message[];
};

/* An inbound whose tunnel is this worker's: its substream. */
struct local_inbound {
    struct inbound inbound; /* first */
    struct reclaim reclaim;
    struct plex_substream *substream; /* NULL: over */
    struct tunnel *tunnel;            /* while there is a substream */
    struct worker *worker;
    struct presence *presence;
    struct agent_error *error; /* NULL: none */
    uint64_t opened_at;
    uint16_t id; /* for the visit record, also when it is over */
    bool in_ended, out_ended;
};

static struct local_inbound *of_substream(struct plex_substream *substream)
{
    return plex_substream_user(substream);
}

static struct tunnel *tunnel_of(struct plex_substream *substream)
{
    return plex_session_user(plex_substream_session(substream));
}

static void free_local(struct reclaim *reclaim)
{
    struct local_inbound *local =
        (struct local_inbound *)((char *)reclaim - offsetof(struct local_inbound, reclaim));
    presence_unref(local->presence);
    free(local->error);
    free(local);
}

/* --- The end of an inbound --- */

static void log_over(const struct local_inbound *local, const char *reason)
{
    uint64_t in, out;
    if (!log_is_on(LOG_DEBUG))
        return;
    plex_substream_bytes(local->substream, &in, &out);
    log_write(LOG_DEBUG,
              LOG_FIELDS(LOG_NUMBER("tunnel", local->tunnel->id),
                         LOG_NUMBER("substream", plex_substream_id(local->substream)),
                         LOG_TEXT("user", local->tunnel->owner),
                         LOG_TEXT("service", local->presence->service), LOG_NUMBER("bytes_up", in),
                         LOG_NUMBER("bytes_down", out),
                         LOG_NUMBER("duration_ms",
                                    (loop_now(local->worker->loop) - local->opened_at) / 1000),
                         LOG_TEXT("reason", reason)),
              "inbound closed");
}

/* The substream's id is free again, or nobody waits for it. */
static void count_over(struct tunnel *tunnel)
{
    counter_add(&tunnel->worker->counters.substreams, -1);
    tunnel_substream_over(tunnel);
}

/* The one door: parts the inbound from its substream, whose own end is the callers' business. */
static struct plex_substream *part(struct local_inbound *local, const char *reason)
{
    struct plex_substream *substream = local->substream;
    log_over(local, reason);
    atomic_fetch_sub_explicit(&local->presence->busy, 1, memory_order_relaxed);
    plex_substream_set_user(substream, NULL);
    local->substream = NULL;
    local->tunnel = NULL;
    return substream;
}

static void give_up(struct local_inbound *local, const char *reason)
{
    struct tunnel *tunnel = local->tunnel;
    struct plex_substream *substream = part(local, reason);
    plex_substream_abort(substream, NULL, NULL);
    count_over(tunnel);
}

/* How the edge is told: the agent's own words, else what the tunnel or the engine has to say. */
static void tell_gone(struct local_inbound *local, int reason, bool orderly)
{
    const char *code = "", *message = plex_error_text(reason);
    if (reason == PLEX_SUBSTREAM_TUNNEL_GONE) {
        code = "TUNNEL_GONE";
    } else if (local->error) {
        code = local->error->code;
        message = local->error->message;
    } else if (orderly) {
        message = "";
    } else if (reason != PLEX_SUBSTREAM_CLOSED && reason != PLEX_SUBSTREAM_RESET) {
        code = plex_error_name(reason);
    }
    local->inbound.callbacks->on_gone(local->inbound.user, code, message);
}

void inbound_on_gone(struct plex_substream *substream, int reason)
{
    struct local_inbound *local = of_substream(substream);
    struct tunnel *tunnel = tunnel_of(substream);
    if (reason == PLEX_SUBSTREAM_STALLED)
        counter_add(&tunnel->worker->counters.stalls, 1);
    if (local)
        part(local, plex_error_text(reason));
    count_over(tunnel);
    if (local)
        tell_gone(local, reason,
                  reason == PLEX_SUBSTREAM_CLOSED && local->in_ended && local->out_ended);
}

/* --- What the edge does --- */

static void ready(struct inbound *inbound)
{
    struct local_inbound *local = (struct local_inbound *)inbound;
    if (local->substream)
        plex_substream_ready(local->substream);
}

static void consume(struct inbound *inbound, size_t length)
{
    struct local_inbound *local = (struct local_inbound *)inbound;
    if (local->substream)
        plex_substream_consume(local->substream, length);
}

static void end(struct inbound *inbound)
{
    struct local_inbound *local = (struct local_inbound *)inbound;
    local->out_ended = true;
    if (local->substream)
        plex_substream_end(local->substream);
}

static void abort_inbound(struct inbound *inbound)
{
    struct local_inbound *local = (struct local_inbound *)inbound;
    if (local->substream)
        give_up(local, "aborted by the edge");
    worker_reclaim(local->worker, &local->reclaim);
}

/* With both directions over, only the agent's `close` is missing, for which the substream waits
 * alone: our own close would be a reset, and might overtake our `end`. */
static void close_inbound(struct inbound *inbound)
{
    struct local_inbound *local = (struct local_inbound *)inbound;
    if (local->substream && local->in_ended && local->out_ended) {
        part(local, "closed");
        worker_reclaim(local->worker, &local->reclaim);
        return;
    }
    abort_inbound(inbound);
}

static uint16_t substream_id(const struct inbound *inbound)
{
    const struct local_inbound *local = (const struct local_inbound *)inbound;
    return local->id;
}

static const struct inbound_ops local_ops = {
    .ready = ready,
    .consume = consume,
    .end = end,
    .close = close_inbound,
    .abort = abort_inbound,
    .substream = substream_id,
};

/* --- What the agent does; substreams without an inbound wait for their `close` --- */

void inbound_on_event(struct plex_substream *substream, enum plex_event event, const char *text)
{
    struct local_inbound *local = of_substream(substream);
    if (local && event == PLEX_EVENT_CONNECT)
        local->inbound.callbacks->on_connected(local->inbound.user);
}

void inbound_on_error(struct plex_substream *substream, const char *message, const char *code)
{
    struct local_inbound *local = of_substream(substream);
    if (!local || local->error)
        return;
    size_t size = strlen(message) + 1;
    struct agent_error *error = calloc(1, sizeof *error + size);
    if (!error)
        return; /* the edge hears of it without the agent's words */
    strncpy(error->code, code ? code : "", sizeof error->code - 1);
    memcpy(error->message, message, size);
    local->error = error;
}

void inbound_on_data(struct plex_substream *substream, const void *data, size_t length)
{
    struct local_inbound *local = of_substream(substream);
    if (!local) {
        plex_substream_consume(substream, length);
        return;
    }
    counter_add(&local->worker->counters.bytes_from_devices, (int64_t)length);
    local->inbound.callbacks->on_data(local->inbound.user, data, length);
}

void inbound_on_end(struct plex_substream *substream)
{
    struct local_inbound *local = of_substream(substream);
    if (!local || local->error) /* without reset an abort comes as error, end and close */
        return;
    local->in_ended = true;
    local->inbound.callbacks->on_end(local->inbound.user);
}

size_t inbound_on_pull(struct plex_substream *substream, void *buffer, size_t capacity)
{
    struct local_inbound *local = of_substream(substream);
    if (!local)
        return 0;
    struct worker *worker = local->worker;
    size_t count = local->inbound.callbacks->on_pull(local->inbound.user, buffer, capacity);
    counter_add(&worker->counters.bytes_to_devices, (int64_t)count);
    return count;
}

/* --- Opening --- */

/* Not one that is closing, nor one of a server that goes away: its agent makes another tunnel. */
static bool takes_visitors(const struct tunnel *tunnel)
{
    return tunnel->session && !tunnel->finish_reason && !tunnel->gone_reason &&
           !tunnel->worker->draining;
}

int inbound_open_local(struct worker *worker, struct presence *presence, const char *visitor,
                       const struct inbound_callbacks *callbacks, void *user,
                       struct inbound **ret_inbound)
{
    struct tunnel *tunnel = worker_find(worker, presence->ref.slot, presence->ref.generation);
    if (!tunnel || !takes_visitors(tunnel) || grant_is_exhausted(tunnel->grant))
        return -1;
    struct local_inbound *local = calloc(1, sizeof *local);
    if (!local)
        return -1;
    if (plex_substream_open(tunnel->session, PLEX_INBOUND, presence->service, visitor, local,
                            &local->substream) < 0) {
        free(local);
        return -1;
    }
    local->inbound = (struct inbound){&local_ops, callbacks, user};
    local->reclaim.free = free_local;
    local->tunnel = tunnel;
    local->worker = worker;
    local->presence = presence_ref(presence);
    local->opened_at = loop_now(worker->loop);
    local->id = plex_substream_id(local->substream);
    atomic_fetch_add_explicit(&presence->busy, 1, memory_order_relaxed);
    tunnel->substreams++;
    counter_add(&worker->counters.substreams, 1);
    counter_add(&worker->counters.substreams_opened, 1);
    *ret_inbound = &local->inbound;
    return 0;
}

int inbound_open(struct worker *worker, struct presence *presence, const char *visitor,
                 const struct inbound_callbacks *callbacks, void *user,
                 struct inbound **ret_inbound)
{
    return presence->ref.worker == worker->index
               ? inbound_open_local(worker, presence, visitor, callbacks, user, ret_inbound)
               : inbound_open_remote(worker, presence, visitor, callbacks, user, ret_inbound);
}

/* --- Visits --- */

static void tell_local(struct worker *worker, const struct tunnel_ref *ref, const char *json,
                       size_t length)
{
    struct tunnel *tunnel = worker_find(worker, ref->slot, ref->generation);
    if (tunnel)
        registration_tell_visit(tunnel, json, length);
}

/* A visit on its way to the tunnel's worker. */
struct visit_order {
    struct loop_message message; /* first */
    struct worker *worker;
    struct tunnel_ref ref;
    size_t length;
    char json[];
};

static void take_visit(struct loop_message *message)
{
    struct visit_order *order = (struct visit_order *)message;
    tell_local(order->worker, &order->ref, order->json, order->length);
    free(order);
}

void inbound_tell_visit(struct worker *worker, struct presence *presence, const char *json,
                        size_t length)
{
    const struct worker_host *host = worker->host;
    const struct tunnel_ref *ref = &presence->ref;
    if (ref->worker == worker->index) {
        tell_local(worker, ref, json, length);
        return;
    }
    if (ref->worker >= host->worker_count || length > REGISTRATION_VISIT_MAX)
        return;
    struct visit_order *order = malloc(sizeof *order + length);
    if (!order)
        return;
    *order = (struct visit_order){.message.run = take_visit,
                                  .worker = host->workers[ref->worker],
                                  .ref = *ref,
                                  .length = length};
    memcpy(order->json, json, length);
    loop_post(order->worker->loop, &order->message);
}
