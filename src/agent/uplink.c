#include "agent/uplink.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "agent/backoff.h"
#include "net/timer.h"

/* News of the network come in bursts, and a server that goes may say so to every new tunnel: so
 * long after one try another isn't made for them. */
#define PAUSE 1000000 /* microseconds */

struct uplink_tunnel {
    struct uplink *uplink;
    struct tunnel_client *client;
    struct uplink_tunnel *next;
    uint64_t number;
    unsigned substreams;
    bool leaving; /* the server takes no more; or it is closed */
};

struct uplink {
    struct loop *loop;
    struct resolver *resolver;
    struct tunnel_client_options options;
    const struct uplink_callbacks *callbacks;
    struct plex_callbacks substreams;
    struct tunnel_client_callbacks tunnel_callbacks;
    void *user;
    struct uplink_tunnel *current; /* NULL while waiting */
    struct uplink_tunnel *tunnels; /* all that haven't closed */
    uint64_t next_number;
    struct backoff backoff;
    struct timer retry, steady;
    struct loop_deferred settle; /* after a callback of a tunnel's, what isn't done inside of it */
    bool is_up;
    uint64_t tried_at;
    void (*on_closed)(void *user);
    bool closing;
};

static void on_tunnel_closed(void *user);

static void close_tunnel(struct uplink_tunnel *tunnel)
{
    struct uplink *uplink = tunnel->uplink;

    tunnel->leaving = true;
    if (uplink->current == tunnel) {
        uplink->current = NULL;
        uplink->is_up = false;
        timer_stop(&uplink->steady);
    }
    tunnel_client_close(tunnel->client, on_tunnel_closed);
}

static void finish(struct uplink *uplink)
{
    void (*on_closed)(void *user) = uplink->on_closed;
    void *user = uplink->user;

    loop_undefer(uplink->loop, &uplink->settle);
    free(uplink);
    on_closed(user);
}

static void on_tunnel_closed(void *user)
{
    struct uplink_tunnel *tunnel = user;
    struct uplink *uplink = tunnel->uplink;
    struct uplink_tunnel **link = &uplink->tunnels;

    while (*link != tunnel)
        link = &(*link)->next;
    *link = tunnel->next;
    free(tunnel);
    if (uplink->closing && !uplink->tunnels)
        finish(uplink);
}

static void wait_and_retry(struct uplink *uplink)
{
    timer_start(&uplink->retry, loop_update_now(uplink->loop) + backoff_next(&uplink->backoff));
}

static void lose(struct uplink_tunnel *tunnel, enum tunnel_client_end end, const char *text)
{
    struct uplink *uplink = tunnel->uplink;
    bool was_current = uplink->current == tunnel;

    close_tunnel(tunnel);
    if (!was_current || uplink->closing)
        return; /* an old one, which was to end: the server may have been the first to do it */
    if (uplink->callbacks->on_down(uplink->user, end, text) && !uplink->closing)
        wait_and_retry(uplink);
}

/* --- Callbacks of a tunnel --- */

static void on_up(struct tunnel_client *client)
{
    struct uplink_tunnel *tunnel = tunnel_client_user(client);
    struct uplink *uplink = tunnel->uplink;
    const char *text = "";

    if (uplink->callbacks->on_up(uplink->user, tunnel_client_session(client), &text)) {
        uplink->is_up = true;
        timer_start(&uplink->steady, loop_now(uplink->loop) + BACKOFF_RESET);
    } else {
        lose(tunnel, TUNNEL_CLIENT_LOST, text);
    }
}

static void on_down(struct tunnel_client *client, enum tunnel_client_end end, const char *text)
{
    lose(tunnel_client_user(client), end, text);
}

/* Another is opened at the end of the turn: not from within the engine of this one. */
static void on_goaway(struct tunnel_client *client)
{
    struct uplink_tunnel *tunnel = tunnel_client_user(client);
    struct uplink *uplink = tunnel->uplink;

    if (tunnel->leaving)
        return;
    tunnel->leaving = true;
    if (uplink->current == tunnel) {
        uplink->current = NULL;
        uplink->is_up = false;
        timer_stop(&uplink->steady);
    }
    loop_defer(uplink->loop, &uplink->settle);
}

static struct uplink_tunnel *tunnel_of(const struct plex_session *session)
{
    return tunnel_client_user(tunnel_client_of(session));
}

static void on_open(struct plex_substream *substream, enum plex_kind kind, const char *service,
                    const char *visitor)
{
    struct uplink_tunnel *tunnel = tunnel_of(plex_substream_session(substream));
    struct uplink *uplink = tunnel->uplink;

    tunnel->substreams++; /* before, for it may be over at once */
    if (!uplink->callbacks->on_open(uplink->user, substream, service, visitor, tunnel->number))
        uplink_substream_over(uplink, tunnel->number);
}

static void on_message(struct plex_session *session, const char *json, size_t length)
{
    struct uplink_tunnel *tunnel = tunnel_of(session);
    struct uplink *uplink = tunnel->uplink;

    uplink->callbacks->on_message(uplink->user, tunnel->number, json, length);
}

static size_t on_message_pull(struct plex_session *session, char *buffer, size_t capacity)
{
    struct uplink_tunnel *tunnel = tunnel_of(session);
    struct uplink *uplink = tunnel->uplink;

    if (tunnel != uplink->current)
        return 0;
    return uplink->callbacks->on_message_pull(uplink->user, buffer, capacity);
}

/* What only an opener is told, or only an acceptor of "net" and "tls". */
static void ignore_event(struct plex_substream *substream, enum plex_event event, const char *text)
{
}

static void ignore_error(struct plex_substream *substream, const char *message, const char *code)
{
}

static void ignore_connect(struct plex_substream *substream, const char *host, uint16_t port)
{
}

static void ignore_timeout(struct plex_substream *substream, uint32_t milliseconds)
{
}

/* --- Opening --- */

static void open_tunnel(struct uplink *uplink)
{
    struct uplink_tunnel *tunnel = calloc(1, sizeof *tunnel);

    timer_stop(&uplink->retry);
    uplink->tried_at = loop_update_now(uplink->loop);
    if (tunnel) {
        tunnel->uplink = uplink;
        tunnel->number = ++uplink->next_number;
        if (tunnel_client_open(uplink->loop, uplink->resolver, &uplink->options,
                               &uplink->tunnel_callbacks, tunnel, &tunnel->client) < 0) {
            free(tunnel);
            tunnel = NULL;
        }
    }
    if (!tunnel) {
        wait_and_retry(uplink);
        return;
    }
    tunnel->next = uplink->tunnels;
    uplink->tunnels = tunnel;
    uplink->current = tunnel;
}

static void run_retry(struct timer *timer)
{
    open_tunnel((struct uplink *)((char *)timer - offsetof(struct uplink, retry)));
}

static void run_steady(struct timer *timer)
{
    backoff_reset(&((struct uplink *)((char *)timer - offsetof(struct uplink, steady)))->backoff);
}

static void run_settle(struct loop_deferred *deferred)
{
    struct uplink *uplink = (struct uplink *)((char *)deferred - offsetof(struct uplink, settle));

    if (uplink->closing)
        return;
    for (struct uplink_tunnel *tunnel = uplink->tunnels; tunnel; tunnel = tunnel->next)
        if (tunnel->leaving && !tunnel->substreams)
            close_tunnel(tunnel);
    if (uplink->current || timer_is_running(&uplink->retry))
        return;
    if (loop_now(uplink->loop) < uplink->tried_at + PAUSE)
        wait_and_retry(uplink);
    else
        open_tunnel(uplink);
}

void uplink_substream_over(struct uplink *uplink, uint64_t number)
{
    struct uplink_tunnel *tunnel = uplink->tunnels;

    while (tunnel && tunnel->number != number)
        tunnel = tunnel->next;
    if (tunnel && --tunnel->substreams == 0 && tunnel->leaving && !uplink->closing)
        loop_defer(uplink->loop, &uplink->settle);
}

void uplink_set_token(struct uplink *uplink, const char *token)
{
    uplink->options.token = token;
}

void uplink_network_changed(struct uplink *uplink)
{
    uint64_t now = loop_update_now(uplink->loop);

    if (uplink->closing)
        return;
    if (uplink->is_up) {
        tunnel_client_ping(uplink->current->client);
    } else if (timer_is_running(&uplink->retry)) {
        backoff_reset(&uplink->backoff);
        uint64_t soonest = uplink->tried_at + PAUSE;
        timer_start(&uplink->retry, soonest > now ? soonest : now);
    }
}

struct plex_session *uplink_session(const struct uplink *uplink)
{
    return uplink->is_up ? tunnel_client_session(uplink->current->client) : NULL;
}

int uplink_open(struct loop *loop, struct resolver *resolver,
                const struct tunnel_client_options *options,
                const struct uplink_callbacks *callbacks, void *user, uint64_t seed,
                struct uplink **ret_uplink)
{
    struct uplink *uplink = calloc(1, sizeof *uplink);

    if (!uplink)
        return -ENOMEM;
    uplink->loop = loop;
    uplink->resolver = resolver;
    uplink->options = *options;
    uplink->callbacks = callbacks;
    uplink->user = user;
    uplink->substreams = *callbacks->substreams;
    uplink->substreams.on_open = on_open;
    uplink->substreams.on_connect = ignore_connect;
    uplink->substreams.on_timeout = ignore_timeout;
    uplink->substreams.on_event = ignore_event;
    uplink->substreams.on_error = ignore_error;
    uplink->substreams.on_message = on_message;
    uplink->substreams.on_message_pull = on_message_pull;
    uplink->tunnel_callbacks = (struct tunnel_client_callbacks){
        .on_up = on_up,
        .on_down = on_down,
        .on_goaway = on_goaway,
        .substreams = &uplink->substreams,
    };
    uplink->settle.run = run_settle;
    backoff_init(&uplink->backoff, seed);
    timer_init(&uplink->retry, loop, run_retry);
    timer_init(&uplink->steady, loop, run_steady);
    open_tunnel(uplink);
    *ret_uplink = uplink;
    return 0;
}

static void run_finish(struct loop_deferred *deferred)
{
    finish((struct uplink *)((char *)deferred - offsetof(struct uplink, settle)));
}

void uplink_close(struct uplink *uplink, void (*on_closed)(void *user))
{
    if (uplink->closing)
        return;
    uplink->closing = true;
    uplink->on_closed = on_closed;
    timer_stop(&uplink->retry);
    timer_stop(&uplink->steady);
    loop_undefer(uplink->loop, &uplink->settle);
    for (struct uplink_tunnel *tunnel = uplink->tunnels; tunnel; tunnel = tunnel->next) {
        struct plex_session *session = tunnel_client_session(tunnel->client);
        if (session && plex_session_is_authed(session))
            plex_session_goaway(session, 0); /* the last word: no more visitors for this one */
        close_tunnel(tunnel);
    }
    if (uplink->tunnels)
        return;
    uplink->settle.run = run_finish;
    loop_defer(uplink->loop, &uplink->settle);
}
