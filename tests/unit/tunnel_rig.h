/* A tunnel of a worker without a connection: its session is joined in memory with a device's, and
 * everything of the server that hangs on a session is real. For tests of inbounds and
 * registrations. */
#pragma once

#include "net_test.h"
#include "pair.h"

#include "server/tunnel.h"
#include "server/worker.h"

struct rig {
    struct worker *worker;
    struct worker_host host;
    struct tunnel *tunnel;
    struct plex_callbacks callbacks; /* the server's, but for the token */
    struct side device;
    uint64_t now;
};

static inline void rig_accept(struct plex_session *session, const char *token, size_t length)
{
    assert_int_equal(plex_session_authorize(session, true), 0);
}

static inline void rig_no_service(struct loop_deferred *deferred)
{
}

static inline void rig_reclaim(struct loop_deferred *deferred)
{
    struct worker *worker =
        (struct worker *)((char *)deferred - offsetof(struct worker, reclaim_deferred));
    while (worker->reclaim) {
        struct reclaim *first = worker->reclaim;
        worker->reclaim = first->next;
        first->free(first);
    }
}

static inline void *rig_alloc(void *user, size_t size)
{
    return malloc(size);
}

static inline void rig_give_back(void *user, void *memory, size_t size)
{
    free(memory);
}

static const struct plex_allocator rig_allocator = {rig_alloc, rig_give_back, NULL};

/* Until neither side has anything to say; what the session doesn't take is a test's failure. */
static inline void rig_run(struct rig *rig)
{
    static uint8_t buffer[PLEX_PULL_MAX];
    while (plex_session_has_output(rig->device.session) ||
           plex_session_has_output(rig->tunnel->session)) {
        size_t size = plex_session_pull(rig->device.session, buffer, sizeof buffer, rig->now);
        if (size) {
            size_t taken;
            assert_int_equal(
                plex_session_feed(rig->tunnel->session, buffer, size, rig->now, &taken), 0);
            assert_int_equal(taken, size);
        }
        size_t more = plex_session_pull(rig->tunnel->session, buffer, sizeof buffer, rig->now);
        if (more)
            assert_int_equal(side_feed(&rig->device, buffer, more, rig->now), 0);
    }
}

static inline struct worker *rig_worker(unsigned index, struct worker_host *host)
{
    struct worker *worker = calloc(1, sizeof *worker);
    assert_non_null(worker);
    assert_int_equal(loop_new(&worker->loop), 0);
    worker->index = index;
    worker->host = host;
    worker->reclaim_deferred.run = rig_reclaim;
    return worker;
}

static inline void rig_worker_free(struct worker *worker)
{
    loop_undefer(worker->loop, &worker->reclaim_deferred);
    rig_reclaim(&worker->reclaim_deferred);
    loop_free(worker->loop);
    free(worker->slots);
    free(worker);
}

/* Authenticated, with these features of the device's. */
static inline struct rig *rig_new(uint32_t features)
{
    struct rig *rig = calloc(1, sizeof *rig);
    struct tunnel *tunnel = calloc(1, sizeof *tunnel);
    assert_non_null(rig);
    assert_non_null(tunnel);
    rig->now = 1000 * SECOND;
    struct worker *worker = rig->worker = rig_worker(0, &rig->host);
    rig->tunnel = tunnel;
    tunnel->worker = worker;
    tunnel->owner = strdup("me");
    tunnel->service.run = rig_no_service;
    timer_init(&tunnel->timer, worker->loop, NULL);
    assert_int_equal(worker_take_slot(worker, tunnel, &tunnel->slot, &tunnel->generation), 0);
    rig->callbacks = tunnel_engine_callbacks;
    rig->callbacks.on_token = rig_accept;
    plex_config_init(&worker->plex, PLEX_SERVER);
    worker->plex.callbacks = &rig->callbacks;
    worker->plex.allocator = &rig_allocator;
    tunnel->session = plex_session_new(&worker->plex, tunnel, rig->now);
    assert_non_null(tunnel->session);
    side_prepare(&rig->device, PLEX_DEVICE);
    rig->device.config.features = features;
    side_start(&rig->device, rig->now);
    assert_int_equal(plex_session_send_token(rig->device.session, "secret", 6), 0);
    rig_run(rig);
    side_expect(&rig->device, "authed 1\n");
    return rig;
}

/* As tunnel_close() does. */
static inline void rig_close_tunnel(struct rig *rig, void (*free_registration)(struct tunnel *))
{
    struct tunnel *tunnel = rig->tunnel;
    if (!tunnel)
        return;
    tunnel->finish_reason = "closed";
    timer_stop(&tunnel->timer);
    loop_undefer(rig->worker->loop, &tunnel->service);
    worker_drop_slot(rig->worker, tunnel->slot);
    free_registration(tunnel);
    plex_session_free(tunnel->session);
    free(tunnel->owner);
    free(tunnel);
    rig->tunnel = NULL;
}

static inline void rig_free(struct rig *rig, void (*free_registration)(struct tunnel *))
{
    rig_close_tunnel(rig, free_registration);
    rig->device.mute = true;
    side_finish(&rig->device);
    rig_worker_free(rig->worker);
    free(rig);
}
