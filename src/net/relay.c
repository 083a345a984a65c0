#include "net/relay.h"

#include <assert.h>
#include <string.h>

#include "net/conn.h"

/* Four frames of 16 KiB: the same as a corked connection sends at once. */
#define GATHER_SIZE 65536
/* Smaller pieces aren't of a bulk, and aren't kept waiting. */
#define GATHER_LEAST 4096

/* One relay of a thread gathers at a time, so one buffer a thread is enough. */
static _Thread_local struct {
    struct relay *relay; /* NULL: nothing is kept */
    size_t size;
    bool on;
    char bytes[GATHER_SIZE];
} gather;

void relay_init(struct relay *relay, const struct relay_active_ops *active,
                const struct relay_owner_ops *owner)
{
    *relay = (struct relay){.active = active, .owner = owner};
}

void relay_deinit(struct relay *relay)
{
    if (gather.relay == relay)
        gather.relay = NULL;
    fifo_deinit(&relay->spill);
    relay->passive_end = NULL;
    relay->over = true;
}

static void fail(struct relay *relay, const char *operation)
{
    if (relay->over)
        return;
    relay->over = true;
    relay->owner->failed(relay, operation);
}

/* Passes the active end's `end` on once its bytes are, and finds out whether all is over. */
static void settle(struct relay *relay)
{
    if (relay->over || !relay->passive_end || relay->spill.size)
        return;
    if (relay->push_ended && !relay->shut_down) {
        relay->shut_down = true;
        relay->passive->shutdown(relay->passive_end);
    }
    if (relay->shut_down && relay->pull_ended) {
        relay->over = true;
        relay->owner->done(relay);
    }
}

static void write_spill(struct relay *relay)
{
    size_t written = 0;
    while (relay->spill.size) {
        size_t length;
        const void *bytes = fifo_peek(&relay->spill, &length);
        ssize_t taken = relay->passive->write(relay->passive_end, bytes, length);
        if (taken == CONN_WAIT)
            break;
        if (taken < 0) {
            fail(relay, "write");
            return;
        }
        fifo_drop(&relay->spill, (size_t)taken);
        written += (size_t)taken;
    }
    if (written)
        relay->active->consumed(relay, written);
}

void relay_join(struct relay *relay, const struct relay_passive_ops *passive, void *end)
{
    relay->passive = passive;
    relay->passive_end = end;
    write_spill(relay);
    settle(relay);
    if (!relay->over)
        relay->active->ready(relay);
}

static void push(struct relay *relay, const char *bytes, size_t length)
{
    size_t written = 0;
    while (relay->passive_end && !relay->spill.size && written < length) {
        ssize_t taken =
            relay->passive->write(relay->passive_end, bytes + written, length - written);
        if (taken == CONN_WAIT)
            break;
        if (taken < 0) {
            fail(relay, "write");
            return;
        }
        written += (size_t)taken;
    }
    if (written < length && fifo_push(&relay->spill, bytes + written, length - written) < 0) {
        fail(relay, "buffer");
        return;
    }
    if (written)
        relay->active->consumed(relay, written);
}

/* --- Gathering --- */

static void flush_gathered(void)
{
    struct relay *relay = gather.relay;
    if (!relay)
        return;
    gather.relay = NULL;
    push(relay, gather.bytes, gather.size);
}

void relay_flush(struct relay *relay)
{
    if (gather.relay == relay)
        flush_gathered();
}

void relay_gather_begin(void)
{
    assert(!gather.on);
    gather.on = true;
}

void relay_gather_end(void)
{
    gather.on = false;
    flush_gathered();
}

/* False when the bytes are to be written now. What was kept is written before, in order. */
static bool keep(struct relay *relay, const void *bytes, size_t length)
{
    bool is_kept = gather.on && relay->gathers && relay->passive_end && !relay->spill.size &&
                   length >= GATHER_LEAST && length <= GATHER_SIZE;
    if (gather.relay && (gather.relay != relay || !is_kept || gather.size + length > GATHER_SIZE)) {
        flush_gathered();
        is_kept = is_kept && !relay->over && !relay->spill.size;
    }
    if (!is_kept)
        return false;
    if (!gather.relay)
        gather.size = 0;
    memcpy(gather.bytes + gather.size, bytes, length);
    gather.size += length;
    gather.relay = relay;
    return true;
}

void relay_push(struct relay *relay, const void *bytes, size_t length)
{
    if (relay->over) {
        relay->active->consumed(relay, length);
        return;
    }
    if (keep(relay, bytes, length))
        return;
    if (relay->over)
        relay->active->consumed(relay, length);
    else
        push(relay, bytes, length);
}

void relay_push_end(struct relay *relay)
{
    relay_flush(relay);
    relay->push_ended = true;
    settle(relay);
}

size_t relay_pull(struct relay *relay, void *buffer, size_t capacity)
{
    if (relay->over || relay->pull_ended || !relay->passive_end)
        return 0;
    ssize_t count = relay->passive->read(relay->passive_end, buffer, capacity);
    if (count > 0)
        return (size_t)count;
    if (count == CONN_END) {
        relay->pull_ended = true;
        relay->active->end(relay);
        settle(relay);
    } else if (count != CONN_WAIT) {
        fail(relay, "read");
    }
    return 0;
}

void relay_readable(struct relay *relay)
{
    if (!relay->over && !relay->pull_ended)
        relay->active->ready(relay);
}

void relay_writable(struct relay *relay)
{
    if (relay->over || !relay->passive_end)
        return;
    write_spill(relay);
    settle(relay);
}

static ssize_t read_conn(void *end, void *buffer, size_t capacity)
{
    return conn_read(end, buffer, capacity);
}

static ssize_t write_conn(void *end, const void *bytes, size_t length)
{
    return conn_write(end, bytes, length);
}

static void shutdown_conn(void *end)
{
    conn_shutdown(end);
}

const struct relay_passive_ops relay_conn_ops = {read_conn, write_conn, shutdown_conn};
