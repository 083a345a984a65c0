#include "server/worker_edge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "registry/directory.h"
#include "server/edge_accept.h"
#include "server/grant.h"
#include "server/inbound.h"
#include "server/tunnel.h"

#define LOOKED_AT_MAX 8 /* agents of one socket here; who has more isn't held up by a quota */

static int open_inbound(void *user, struct presence *presence, const char *visitor,
                        const struct inbound_callbacks *callbacks, void *callbacks_user,
                        struct inbound **ret_inbound)
{
    return inbound_open(user, presence, visitor, callbacks, callbacks_user, ret_inbound);
}

static void tell_visit(void *user, struct presence *presence, const char *json, size_t length)
{
    inbound_tell_visit(user, presence, json, length);
}

static void note_gone(struct worker *worker)
{
    if (worker->draining)
        loop_defer(worker->loop, &worker->drained_deferred);
}

static void report(void *user, const union address *peer, enum edge_event event)
{
    static const enum admission_event events[] = {
        [EDGE_VISITOR_ROUTED] = ADMISSION_AUTHED,
        [EDGE_VISITOR_GONE_ROUTED] = ADMISSION_GONE_AUTHED,
        [EDGE_VISITOR_GONE_UNROUTED] = ADMISSION_GONE_UNAUTHED,
    };
    struct worker *worker = user;
    admission_report(worker->host->visitors, peer, events[event]);
    if (event != EDGE_VISITOR_ROUTED)
        note_gone(worker);
}

static void count(void *user, enum edge_count what, int64_t amount)
{
    static const size_t offsets[] = {
        [EDGE_COUNT_VISITORS] = offsetof(struct counters, edge_visitors),
        [EDGE_COUNT_VISITS] = offsetof(struct counters, edge_visits),
        [EDGE_COUNT_BYTES_IN] = offsetof(struct counters, edge_bytes_in),
        [EDGE_COUNT_BYTES_OUT] = offsetof(struct counters, edge_bytes_out),
        [EDGE_COUNT_HANDSHAKES] = offsetof(struct counters, edge_handshakes),
        [EDGE_COUNT_HANDSHAKES_FAILED] = offsetof(struct counters, edge_handshakes_failed),
        [EDGE_COUNT_UNKNOWN_NAME] = offsetof(struct counters, edge_unknown_name),
        [EDGE_COUNT_NO_AGENT] = offsetof(struct counters, edge_no_agent),
        [EDGE_COUNT_SERVICE_REFUSED] = offsetof(struct counters, edge_service_refused),
        [EDGE_COUNT_SERVICE_BROKEN] = offsetof(struct counters, edge_service_broken),
        [EDGE_COUNT_SERVICE_SILENT] = offsetof(struct counters, edge_service_silent),
        [EDGE_COUNT_BAD_REQUESTS] = offsetof(struct counters, edge_bad_requests),
        [EDGE_COUNT_FORBIDDEN] = offsetof(struct counters, edge_forbidden),
        [EDGE_COUNT_LIMITED] = offsetof(struct counters, edge_limited),
        [EDGE_COUNT_RETRIES] = offsetof(struct counters, edge_retries),
        [EDGE_COUNT_LINKS] = offsetof(struct counters, edge_links),
    };
    struct worker *worker = user;
    char *base = (char *)&worker->counters;
    counter_add((_Atomic int64_t *)(void *)(base + offsets[what]), amount);
}

static void pass(void *user, unsigned index, struct edge_passed *passed)
{
    struct worker *worker = user;
    worker_post_visitor(worker->host->workers[index], passed);
    note_gone(worker);
}

/* To the main thread: a tunnel, as it counts them and knows the worker with the fewest, or a client
 * of the API. */
struct found_other {
    struct loop_message message;
    const struct worker_host *host;
    struct edge_passed *passed;
    bool is_api;
};

static void tell_other(struct loop_message *message)
{
    struct found_other found = *(struct found_other *)message;
    free(message);
    if (!found.is_api)
        found.host->on_tunnel(found.host->user, found.passed);
    else if (found.host->on_api)
        found.host->on_api(found.host->user, found.passed);
    else
        edge_passed_free(found.passed);
}

static void pass_other(struct worker *worker, struct edge_passed *passed, bool is_api)
{
    struct found_other *found = malloc(sizeof *found);
    report(worker, &passed->peer, EDGE_VISITOR_GONE_UNROUTED);
    if (!found) {
        edge_passed_free(passed);
        return;
    }
    *found = (struct found_other){{.run = tell_other}, worker->host, passed, is_api};
    loop_post(worker->host->loop, &found->message);
}

static void pass_tunnel(void *user, struct edge_passed *passed)
{
    pass_other(user, passed, false);
}

static void pass_api(void *user, struct edge_passed *passed)
{
    pass_other(user, passed, true);
}

/* The tokens of all agents here have used up their bytes: there is nobody to lead a visitor to.
 * What serves on another worker is asked there. */
static bool is_exhausted(void *user, const struct socket_facts *facts)
{
    struct worker *worker = user;
    bool any = false;
    const struct directory_entry *entry = directory_find_id(worker->directory, facts->id);
    size_t count = entry ? directory_presences(entry) : 0;
    for (size_t i = 0; i < count && i < LOOKED_AT_MAX; i++) {
        const struct tunnel_ref *ref = &directory_presence(entry, i)->ref;
        if (ref->worker != worker->index)
            return false;
        const struct tunnel *tunnel = worker_find(worker, ref->slot, ref->generation);
        if (tunnel && !grant_is_exhausted(tunnel->grant))
            return false;
        any |= tunnel != NULL;
    }
    return any;
}

/* A port's visitor goes to the tunnel's own worker, at once. */
static void give(void *user, struct edge_passed *passed)
{
    struct worker *worker = user;
    if (passed->presence && passed->presence->ref.worker != worker->index)
        worker_post_visitor(worker->host->workers[passed->presence->ref.worker], passed);
    else
        edge_take(worker->edge, passed);
}

static struct edge_setup setup_of(const struct worker *worker)
{
    return (struct edge_setup){&worker->setup.config->edge, worker->setup.tls_edge};
}

int worker_edge_new(struct worker *worker)
{
    if (!worker->setup.config->edge_on)
        return 0;
    const struct edge_setup setup = setup_of(worker);
    worker->edge_host = (struct edge_host){
        .inbound = {worker, open_inbound, tell_visit, worker->index},
        .report = report,
        .count = count,
        .pass = pass,
        .pass_tunnel = pass_tunnel,
        .pass_api = pass_api,
        .is_exhausted = is_exhausted,
        .guard = worker->host->guard,
        .user = worker,
    };
    if (directory_new(&worker->directory) < 0)
        return -ENOMEM;
    int error =
        edge_new(worker->loop, worker->directory, &worker->edge_host, &setup, &worker->edge);
    if (error < 0)
        return error;
    const struct edge_accept_host accept_host = {
        .admission = worker->host->visitors,
        .refusals = worker->host->refusals,
        .directory = worker->directory,
        .refused = &worker->counters.edge_refused,
        .give = give,
        .user = worker,
    };
    return edge_accept_new(worker->loop, &accept_host, setup.config, &worker->accept);
}

void worker_edge_free(struct worker *worker)
{
    edge_accept_free(worker->accept);
    edge_free(worker->edge);
    directory_free(worker->directory);
}

void worker_edge_configure(struct worker *worker)
{
    const struct edge_setup setup = setup_of(worker);
    edge_configure(worker->edge, &setup);
    edge_accept_configure(worker->accept, setup.config);
}

void worker_edge_listen(struct worker *worker, struct listening *listening, enum edge_entry entry,
                        uint64_t socket)
{
    int error = edge_accept_start(worker->accept, listening, entry, socket);
    if (error < 0)
        log_write(LOG_ERROR,
                  LOG_FIELDS(LOG_NUMBER("worker", worker->index),
                             LOG_TEXT("error", strerrorname_np(-error))),
                  "a worker can't accept visitors");
    listening_unref(listening);
}

void worker_edge_drain(struct worker *worker)
{
    edge_accept_close(worker->accept);
    edge_drain(worker->edge);
}

void worker_edge_stop(struct worker *worker)
{
    edge_accept_close(worker->accept);
    edge_stop(worker->edge);
}

void worker_edge_take(struct worker *worker, struct edge_passed *passed)
{
    edge_take(worker->edge, passed);
}

void worker_edge_change(struct worker *worker, struct registry_change *change)
{
    if (worker->directory && directory_apply(worker->directory, change) < 0)
        abort(); /* a name that only this worker doesn't know would be lost for ever */
    socket_facts_unref(change->facts);
    presence_unref(change->presence);
}
