#include "net/relay.h"

#include "net/conn.h"

void relay_init(struct relay *relay, const struct relay_active_ops *active,
                const struct relay_owner_ops *owner)
{
    *relay = (struct relay){.active = active, .owner = owner};
}

void relay_deinit(struct relay *relay)
{
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

void relay_push(struct relay *relay, const void *bytes, size_t length)
{
    size_t written = 0;
    if (relay->over) {
        relay->active->consumed(relay, length);
        return;
    }
    while (relay->passive_end && !relay->spill.size && written < length) {
        ssize_t taken = relay->passive->write(relay->passive_end, (const char *)bytes + written,
                                              length - written);
        if (taken == CONN_WAIT)
            break;
        if (taken < 0) {
            fail(relay, "write");
            return;
        }
        written += (size_t)taken;
    }
    if (written < length &&
        fifo_push(&relay->spill, (const char *)bytes + written, length - written) < 0) {
        fail(relay, "buffer");
        return;
    }
    if (written)
        relay->active->consumed(relay, written);
}

void relay_push_end(struct relay *relay)
{
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
