#include "bench/pinger.h"

static struct pinger *pinger_of(struct lane *lane)
{
    return (struct pinger *)lane;
}

static void count(struct pinger *pinger, uint64_t nanoseconds)
{
    if (pinger->histogram) {
        histogram_add(pinger->histogram, nanoseconds);
    }
    if (pinger->own) {
        histogram_add(pinger->own, nanoseconds);
    }
}

static size_t on_pull(struct lane *lane, uint8_t *buffer, size_t capacity)
{
    struct pinger *pinger = pinger_of(lane);
    if (!pinger->due || capacity == 0) {
        return 0;
    }
    pinger->due = false;
    *buffer = ++pinger->byte;
    return 1;
}

static void ping(struct pinger *pinger)
{
    /* From when we want to send: what it waits on our side of the tunnel is part of the wait. */
    pinger->sent_at = client_now();
    pinger->waiting = pinger->due = true;
    if (pinger->interval) {
        timer_start(&pinger->timer, loop_now(pinger->lane.client->loop) + pinger->interval);
    }
    lane_ready(&pinger->lane);
}

static void on_timer(struct timer *timer)
{
    struct pinger *pinger = (struct pinger *)((char *)timer - offsetof(struct pinger, timer));
    if (!pinger->waiting) {
        ping(pinger);
    }
}

static void on_connected(struct lane *lane)
{
    ping(pinger_of(lane));
}

static void on_data(struct lane *lane, const uint8_t *bytes, size_t length)
{
    struct pinger *pinger = pinger_of(lane);
    if (!pinger->waiting || length != 1 || *bytes != pinger->byte) {
        pinger->wrong++;
        return;
    }
    pinger->waiting = false;
    if (!pinger->counted) {
        count(pinger, client_now() - pinger->sent_at);
    }
    pinger->counted = false;
    if (++pinger->count == pinger->limit) {
        client_wake(lane->client);
        return;
    }
    if (!pinger->interval || !timer_is_running(&pinger->timer)) {
        ping(pinger);
    }
}

static void on_closed(struct lane *lane, const char *error)
{
    struct pinger *pinger = pinger_of(lane);
    timer_stop(&pinger->timer);
    pinger->over = true;
    pinger->error = error;
    if (pinger->limit) {
        client_wake(lane->client);
    }
}

static const struct lane_callbacks callbacks = {
    .on_connected = on_connected, .on_data = on_data, .on_pull = on_pull, .on_closed = on_closed};

int pinger_open(struct pinger *pinger, struct client *client, enum route route,
                struct client_tunnel *tunnel)
{
    timer_init(&pinger->timer, client->loop, on_timer);
    return lane_open(&pinger->lane, client, route, tunnel, TARGET_ECHO, false, &callbacks);
}

void pinger_close(struct pinger *pinger)
{
    if (pinger->lane.callbacks) {
        timer_stop(&pinger->timer);
        lane_abort(&pinger->lane);
    }
}

void pinger_count_waiting(struct pinger *pinger)
{
    if (pinger->waiting && !pinger->counted) {
        count(pinger, client_now() - pinger->sent_at);
        pinger->counted = true;
    }
}
