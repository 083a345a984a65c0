#include "server/worker.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "net/listening.h"
#include "net/time_slice.h"
#include "server/edge_accept.h"
#include "server/outbound.h"
#include "server/setup.h"
#include "server/tunnel.h"
#include "server/worker_edge.h"

enum order {
    ORDER_ACCEPT,
    ORDER_TUNNEL,
    ORDER_VISITOR,
    ORDER_LISTEN,
    ORDER_UNLISTEN,
    ORDER_CHANGE,
    ORDER_CLOSE_TUNNEL,
    ORDER_SETUP,
    ORDER_DRAIN,
    ORDER_HEARTBEAT,
    ORDER_STOP,
};

/* A message from the main thread, or of a visitor from another worker. */
struct order_message {
    struct loop_message message;
    struct worker *worker;
    enum order order;
    struct worker_setup setup;
    union address peer;
    uint64_t tunnel_id;
    int fd;
    bool old;
    struct edge_passed *passed;
    struct listening *listening;
    enum edge_entry entry;
    uint64_t socket;
    struct registry_change change;
    struct tunnel_ref ref;
    const char *reason;
};

/* libstreamplex asks for its memory here; sizes don't matter to malloc. */
static void *allocate(void *user, size_t size)
{
    return malloc(size);
}

static void give_back(void *user, void *memory, size_t size)
{
    free(memory);
}

static const struct plex_allocator allocator = {allocate, give_back, NULL};

static void take_setup(struct worker *worker, const struct worker_setup *setup)
{
    const struct config *config = setup->config;
    uint64_t workers = config->settings.workers ? config->settings.workers : 1;
    worker->setup = *setup;
    worker->plex = config->plex;
    worker->plex.callbacks = &tunnel_engine_callbacks;
    worker->plex.allocator = &allocator;
    worker->plex.budget = &worker->budget;
    worker->budget.limit = config->settings.memory_limit / workers;
}

static void change_setup(struct worker *worker, const struct worker_setup *setup)
{
    struct worker_setup old = worker->setup;
    take_setup(worker, setup);
    for (struct tunnel *tunnel = worker->tunnels; tunnel; tunnel = tunnel->next)
        tunnel_configure(tunnel);
    if (worker->edge)
        worker_edge_configure(worker);
    setup_drop(&old);
}

/* To the main loop, which may take it when the worker is gone already. */
struct drained_message {
    struct loop_message message;
    const struct worker_host *host;
};

static void tell_drained(struct loop_message *message)
{
    const struct worker_host *host = ((struct drained_message *)message)->host;
    free(message);
    host->on_drained(host->user);
}

void worker_check_drained(struct worker *worker)
{
    if (!worker->draining || worker->told_drained || worker->tunnel_count || worker->linger_count)
        return;
    if (worker->edge && edge_visitors(worker->edge) > 0)
        return;
    struct drained_message *drained = malloc(sizeof *drained);
    if (!drained)
        return; /* the grace time ends the drain */
    *drained = (struct drained_message){{.run = tell_drained}, worker->host};
    worker->told_drained = true;
    loop_post(worker->host->loop, &drained->message);
}

static void check_drained(struct loop_deferred *deferred)
{
    worker_check_drained(
        (struct worker *)((char *)deferred - offsetof(struct worker, drained_deferred)));
}

static void drain(struct worker *worker)
{
    worker->draining = true;
    if (worker->edge)
        worker_edge_drain(worker); /* first: visitors that go let tunnels go */
    for (struct tunnel *tunnel = worker->tunnels, *next; tunnel; tunnel = next) {
        next = tunnel->next;
        tunnel_drain(tunnel);
    }
    worker_check_drained(worker);
}

static void stop(struct worker *worker)
{
    worker->told_drained = true; /* nobody waits to hear it any more */
    worker->stopped = true;
    if (worker->edge)
        worker_edge_stop(worker);
    while (worker->tunnels)
        tunnel_close(worker->tunnels, "server stops");
    outbound_linger_stop(worker);
    loop_stop(worker->loop);
}

/* The bytes that told what it is are the first of its handshake. */
static void take_tunnel(struct worker *worker, struct edge_passed *passed, uint64_t id)
{
    int fd = passed->fd;
    passed->fd = -1;
    tunnel_open(worker, fd, passed->left, passed->left_size, &passed->visitor, id, false);
    edge_passed_free(passed);
}

static void close_tunnel(struct worker *worker, struct tunnel_ref ref, const char *reason)
{
    struct tunnel *tunnel = worker_find(worker, ref.slot, ref.generation);
    if (tunnel)
        tunnel_close(tunnel, reason);
}

static void take_order(struct loop_message *message)
{
    struct order_message *order = (struct order_message *)message;
    struct worker *worker = order->worker;
    switch (order->order) {
    case ORDER_ACCEPT:
        tunnel_open(worker, order->fd, NULL, 0, &order->peer, order->tunnel_id, order->old);
        break;
    case ORDER_TUNNEL:
        take_tunnel(worker, order->passed, order->tunnel_id);
        break;
    case ORDER_VISITOR:
        worker_edge_take(worker, order->passed);
        break;
    case ORDER_LISTEN:
        worker_edge_listen(worker, order->listening, order->entry, order->socket);
        break;
    case ORDER_UNLISTEN:
        edge_accept_stop(worker->accept, order->socket);
        break;
    case ORDER_CHANGE:
        worker_edge_change(worker, &order->change);
        break;
    case ORDER_CLOSE_TUNNEL:
        close_tunnel(worker, order->ref, order->reason);
        break;
    case ORDER_SETUP:
        change_setup(worker, &order->setup);
        break;
    case ORDER_DRAIN:
        drain(worker);
        break;
    case ORDER_HEARTBEAT:
        worker->alive = true;
        break;
    case ORDER_STOP:
        stop(worker);
        break;
    }
    free(order);
}

static void post_order(struct worker *worker, const struct order_message *content)
{
    struct order_message *order = malloc(sizeof *order);
    if (!order)
        abort(); /* some 150 bytes for an order that must not be lost */
    *order = *content;
    order->message.run = take_order;
    order->worker = worker;
    loop_post(worker->loop, &order->message);
}

void worker_post_accept(struct worker *worker, int fd, const union address *peer,
                        uint64_t tunnel_id, bool old)
{
    post_order(
        worker,
        &(struct order_message){
            .order = ORDER_ACCEPT, .fd = fd, .peer = *peer, .tunnel_id = tunnel_id, .old = old});
}

void worker_post_tunnel(struct worker *worker, struct edge_passed *passed, uint64_t tunnel_id)
{
    post_order(worker, &(struct order_message){
                           .order = ORDER_TUNNEL, .passed = passed, .tunnel_id = tunnel_id});
}

void worker_post_visitor(struct worker *worker, struct edge_passed *passed)
{
    post_order(worker, &(struct order_message){.order = ORDER_VISITOR, .passed = passed});
}

void worker_post_listen(struct worker *worker, struct listening *listening, enum edge_entry entry,
                        uint64_t socket)
{
    post_order(worker, &(struct order_message){.order = ORDER_LISTEN,
                                               .listening = listening_ref(listening),
                                               .entry = entry,
                                               .socket = socket});
}

void worker_post_unlisten(struct worker *worker, uint64_t socket)
{
    post_order(worker, &(struct order_message){.order = ORDER_UNLISTEN, .socket = socket});
}

void worker_post_change(struct worker *worker, const struct registry_change *change)
{
    struct order_message order = {.order = ORDER_CHANGE, .change = *change};
    socket_facts_ref(change->facts);
    if (change->presence)
        presence_ref(change->presence);
    post_order(worker, &order);
}

void worker_post_close_tunnel(struct worker *worker, struct tunnel_ref ref, const char *reason)
{
    post_order(worker,
               &(struct order_message){.order = ORDER_CLOSE_TUNNEL, .ref = ref, .reason = reason});
}

void worker_post_setup(struct worker *worker, const struct worker_setup *setup)
{
    post_order(worker, &(struct order_message){.order = ORDER_SETUP, .setup = *setup});
}

void worker_post_drain(struct worker *worker)
{
    post_order(worker, &(struct order_message){.order = ORDER_DRAIN});
}

void worker_post_heartbeat(struct worker *worker)
{
    post_order(worker, &(struct order_message){.order = ORDER_HEARTBEAT});
}

static void free_list(struct worker *worker)
{
    while (worker->reclaim) {
        struct reclaim *first = worker->reclaim;
        worker->reclaim = first->next;
        first->free(first);
    }
}

static void free_reclaimed(struct loop_deferred *deferred)
{
    struct worker *worker =
        (struct worker *)((char *)deferred - offsetof(struct worker, reclaim_deferred));
    free_list(worker);
}

void worker_reclaim(struct worker *worker, struct reclaim *reclaim)
{
    reclaim->next = worker->reclaim;
    worker->reclaim = reclaim;
    loop_defer(worker->loop, &worker->reclaim_deferred);
}

static void *run(void *argument)
{
    struct worker *worker = argument;
    time_slice_shorten();
    loop_run(worker->loop);
    return NULL;
}

void worker_free(struct worker *worker)
{
    free_list(worker); /* the loop may still bring free_reclaimed(), which finds none */
    if (worker->resolver)
        resolver_free(worker->resolver);
    if (worker->loop)
        loop_free(worker->loop);
    worker_edge_free(worker);
    setup_drop(&worker->setup);
    free(worker->slots);
    free(worker);
}

int worker_start(unsigned index, const struct worker_host *host, const struct worker_setup *setup,
                 struct worker **ret_worker)
{
    struct worker *worker = calloc(1, sizeof *worker);
    if (!worker) {
        struct worker_setup unused = *setup;
        setup_drop(&unused);
        return -ENOMEM;
    }
    worker->index = index;
    worker->host = host;
    worker->alive = true;
    worker->reclaim_deferred.run = free_reclaimed;
    worker->drained_deferred.run = check_drained;
    take_setup(worker, setup);
    int error = loop_new(&worker->loop);
    if (error == 0)
        error = resolver_new(worker->loop, NULL, &worker->resolver);
    if (error == 0)
        error = worker_edge_new(worker);
    if (error == 0) {
        /* Signals are the main thread's. */
        sigset_t all, before;
        sigfillset(&all);
        pthread_sigmask(SIG_BLOCK, &all, &before);
        error = -pthread_create(&worker->thread, NULL, run, worker);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    if (error < 0) {
        worker_free(worker);
        return error;
    }
    *ret_worker = worker;
    return 0;
}

/* Workers tell each other of visitors and of what becomes of links, and the main thread of sockets:
 * none may be freed while another's message to it is under way. */
void worker_stop_all(struct worker *const *workers, size_t count, struct loop *main_loop)
{
    for (size_t i = 0; i < count; i++)
        post_order(workers[i], &(struct order_message){.order = ORDER_STOP});
    for (size_t i = 0; i < count; i++)
        pthread_join(workers[i]->thread, NULL);
    for (bool any = true; any;) {
        any = main_loop ? loop_settle(main_loop) : false;
        for (size_t i = 0; i < count; i++)
            any |= loop_settle(workers[i]->loop);
    }
}

void worker_stop(struct worker *worker)
{
    worker_stop_all(&worker, 1, NULL);
    worker_free(worker);
}

int worker_take_slot(struct worker *worker, struct tunnel *tunnel, uint32_t *ret_slot,
                     uint32_t *ret_generation)
{
    if (worker->free_slot == worker->slot_count) {
        uint32_t count = worker->slot_count ? worker->slot_count * 2 : 64;
        struct tunnel_slot *slots = realloc(worker->slots, count * sizeof *slots);
        if (!slots)
            return -ENOMEM;
        for (uint32_t i = worker->slot_count; i < count; i++)
            slots[i] = (struct tunnel_slot){.next_free = i + 1};
        worker->slots = slots;
        worker->slot_count = count;
    }
    struct tunnel_slot *slot = &worker->slots[worker->free_slot];
    *ret_slot = worker->free_slot;
    *ret_generation = slot->generation;
    worker->free_slot = slot->next_free;
    slot->tunnel = tunnel;
    return 0;
}

void worker_drop_slot(struct worker *worker, uint32_t index)
{
    struct tunnel_slot *slot = &worker->slots[index];
    slot->tunnel = NULL;
    slot->generation++;
    slot->next_free = worker->free_slot;
    worker->free_slot = index;
}

struct tunnel *worker_find(struct worker *worker, uint32_t slot, uint32_t generation)
{
    if (slot >= worker->slot_count || worker->slots[slot].generation != generation)
        return NULL;
    return worker->slots[slot].tunnel;
}
