/* A device may upload, end, and close its tunnel before its target has taken everything, or stands.
 * It said that this was all, so it is delivered: the outbound stays for a while without a tunnel.
 * Bounded in time, in number, and in bytes, for nobody waits for it. */
#include <stdlib.h>
#include <string.h>

#include "server/outbound_internal.h"
#include "server/tunnel.h"

/* When no half-open limit is set. */
#define TIME_MAX 30000000
/* Of a worker: descriptors and memory that devices can hold without being there. A tunnel's own
 * bound is 1 MiB, so this is for sixteen that go at once with all they may. */
#define COUNT_MAX 1024
#define BYTES_MAX (16u << 20)
/* What a target says is read in rounds of at most 64 KiB, and then the others have their turn. */
#define DROPS_A_TURN 16

static void ignore_ready(struct relay *relay)
{
    /* Nobody pulls any more. */
}

static void ignore_consumed(struct relay *relay, size_t length)
{
    /* Nobody waits to send more. */
}

static void ignore_end(struct relay *relay)
{
    /* Nobody reads it. */
}

static const struct relay_active_ops no_device = {ignore_ready, ignore_consumed, ignore_end};

static bool has_room(const struct worker *worker, size_t bytes)
{
    return worker->linger_count < COUNT_MAX && bytes <= BYTES_MAX - worker->linger_bytes;
}

static struct outbound_linger *new_linger(struct outbound *outbound)
{
    const struct tunnel *tunnel = outbound->tunnel;
    size_t size = strlen(tunnel->owner) + 1;
    uint64_t limit = outbound->worker->setup.config->settings.half_open_timeout;
    struct outbound_linger *linger = calloc(1, sizeof *linger + size);
    if (!linger)
        return NULL;
    linger->outbound = outbound;
    linger->deadline = outbound_now(outbound) + (limit ? limit : TIME_MAX);
    linger->tunnel_id = tunnel->id;
    linger->substream_id = plex_substream_id(outbound->substream);
    plex_substream_bytes(outbound->substream, &linger->bytes_in, &linger->bytes_out);
    linger->held = outbound->relay.spill.size;
    memcpy(linger->owner, tunnel->owner, size);
    return linger;
}

static void add(struct worker *worker, struct outbound_linger *linger)
{
    linger->next = worker->lingers;
    if (linger->next)
        linger->next->previous = linger;
    worker->lingers = linger;
    worker->linger_count++;
    worker->linger_bytes += linger->held;
    counter_add(&worker->counters.lingering, 1);
}

bool outbound_linger_start(struct outbound *outbound)
{
    struct relay *relay = &outbound->relay;
    struct worker *worker = outbound->worker;
    if (!relay->push_ended || !relay->spill.size || !has_room(worker, relay->spill.size))
        return false;
    struct outbound_linger *linger = new_linger(outbound);
    if (!linger)
        return false;
    add(worker, linger);
    plex_substream_set_user(outbound->substream, NULL);
    counter_add(&worker->counters.substreams, -1);
    outbound->tunnel->substreams--;
    if (outbound->dial)
        outbound->tunnel->dials--;
    outbound->linger = linger;
    outbound->substream = NULL;
    outbound->tunnel = NULL;
    outbound->idle_time = 0;
    relay->active = &no_device;
    /* What the target said so far waits unread, and no event will tell of it again. */
    timer_start(&outbound->timer, outbound_now(outbound));
    return true;
}

bool outbound_linger_step(struct outbound *outbound)
{
    outbound_count_spill(outbound);
    if (!outbound->relay.shut_down)
        return false;
    outbound_over(outbound, true, "tunnel closed; its data was delivered after it");
    return true;
}

void outbound_linger_drop(struct outbound *outbound)
{
    struct worker *worker = outbound->worker;
    struct relay *relay = &outbound->relay;
    ssize_t count = CONN_WAIT;
    for (int i = 0; i < DROPS_A_TURN && relay->passive_end && !relay->pull_ended; i++) {
        count = conn_read(outbound->conn, worker->in, sizeof worker->in);
        if (count <= 0)
            break;
    }
    if (count == CONN_END)
        relay->pull_ended = true;
    if (count == CONN_FAILED)
        outbound_over(outbound, false, conn_error_text(outbound->conn));
    else if (count > 0) /* the wheel's grain lets the others have their turn */
        timer_start(&outbound->timer, outbound_now(outbound));
    else
        outbound_arm(outbound);
}

void outbound_linger_end(struct outbound *outbound)
{
    struct outbound_linger *linger = outbound->linger;
    struct worker *worker = outbound->worker;
    if (linger->next)
        linger->next->previous = linger->previous;
    if (linger->previous)
        linger->previous->next = linger->next;
    else
        worker->lingers = linger->next;
    worker->linger_count--;
    worker->linger_bytes -= linger->held;
    counter_add(&worker->counters.lingering, -1);
    worker_check_drained(worker);
}

void outbound_linger_stop(struct worker *worker)
{
    while (worker->lingers)
        outbound_over(worker->lingers->outbound, false, "server stops");
}
