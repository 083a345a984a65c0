/* The tunnel's side of an inbound that another worker's visitor has: a relay between the local
 * inbound and the link. */
#include <stddef.h>
#include <string.h>

#include "server/inbound_link.h"
#include "server/worker.h"

static struct passage *passage_of(struct relay *relay)
{
    return (struct passage *)(void *)((char *)relay - offsetof(struct passage, far.relay));
}

/* The one door: the link's end and all else of this side is given back. */
static void finish(struct passage *passage, bool must_abort)
{
    struct passage_far *far = &passage->far;
    relay_deinit(&far->relay);
    loop_undefer(far->worker->loop, &far->deferred);
    (must_abort ? link_abort : link_close)(far->link);
    far->link = NULL;
    atomic_store_explicit(&far->is_over, true, memory_order_release);
    inbound_link_let_go(passage);
}

/* The note goes first, so that it is there when the other side has read the link to its end. */
static void finish_gone(struct passage *passage, bool must_abort)
{
    passage->service_ended = passage->far.relay.shut_down;
    inbound_link_post(passage, NOTE_GONE);
    finish(passage, must_abort);
}

static void set_reason(struct passage *passage, const char *code, const char *detail)
{
    /* without memory: a reason without words */
    passage->code = strdup(code);
    passage->detail = strdup(detail);
}

/* At the turn's end: is it over? What the agent sent before it went is the visitor's still. */
static void settle(struct loop_deferred *deferred)
{
    struct passage *passage =
        (struct passage *)(void *)((char *)deferred - offsetof(struct passage, far.deferred));
    struct passage_far *far = &passage->far;
    if (far->gone) {
        if (!far->relay.spill.size)
            finish_gone(passage, false);
    } else if (far->closing && far->relay.over) {
        far->inbound->ops->close(far->inbound);
        far->inbound = NULL;
        finish(passage, false);
    }
}

static void defer(struct passage *passage)
{
    loop_defer(passage->far.worker->loop, &passage->far.deferred);
}

static void give_up(struct passage *passage)
{
    struct passage_far *far = &passage->far;
    if (far->inbound)
        far->inbound->ops->abort(far->inbound);
    far->inbound = NULL;
}

/* --- The relay ------------------------------------------------------------ */

static void tell_ready(struct relay *relay)
{
    struct inbound *inbound = passage_of(relay)->far.inbound;
    if (inbound)
        inbound->ops->ready(inbound);
}

static void tell_consumed(struct relay *relay, size_t length)
{
    struct inbound *inbound = passage_of(relay)->far.inbound;
    if (inbound)
        inbound->ops->consume(inbound, length);
}

static void tell_end(struct relay *relay)
{
    struct inbound *inbound = passage_of(relay)->far.inbound;
    if (inbound)
        inbound->ops->end(inbound);
}

static const struct relay_active_ops active_ops = {tell_ready, tell_consumed, tell_end};

/* The agent has yet to say `close`, or the visitor's side has asked for it already. */
static void on_done(struct relay *relay)
{
    defer(passage_of(relay));
}

/* Of the link's failures on_aborted tells in a moment. */
static void on_failed(struct relay *relay, const char *operation)
{
    struct passage *passage = passage_of(relay);
    if (strcmp(operation, "buffer") != 0)
        return;
    set_reason(passage, "ENOMEM", "out of memory");
    give_up(passage);
    finish_gone(passage, true);
}

static const struct relay_owner_ops owner_ops = {on_done, on_failed};

static ssize_t read_link(void *end, void *buffer, size_t capacity)
{
    return link_read(end, buffer, capacity);
}

static ssize_t write_link(void *end, const void *bytes, size_t length)
{
    return link_write(end, bytes, length);
}

static void shutdown_link(void *end)
{
    link_shutdown(end);
}

static const struct relay_passive_ops link_ops = {read_link, write_link, shutdown_link};

/* --- From the link -------------------------------------------------------- */

static void on_readable(struct link_end *link)
{
    struct passage *passage = link_user(link);
    relay_readable(&passage->far.relay);
}

static void on_writable(struct link_end *link)
{
    struct passage *passage = link_user(link);
    relay_writable(&passage->far.relay);
    defer(passage);
}

static void on_aborted(struct link_end *link)
{
    struct passage *passage = link_user(link);
    give_up(passage);
    if (!passage->far.gone) /* for want of memory: the visitor's side may not have gone */
        set_reason(passage, "ENOMEM", "out of memory");
    finish_gone(passage, true);
}

static const struct link_callbacks link_callbacks = {on_readable, on_writable, on_aborted};

/* --- From the inbound ----------------------------------------------------- */

static void on_connected(void *user)
{
    inbound_link_post(user, NOTE_CONNECTED);
}

static void on_data(void *user, const void *bytes, size_t length)
{
    struct passage *passage = user;
    inbound_link_hold(passage); /* it may fail */
    relay_push(&passage->far.relay, bytes, length);
    inbound_link_let_go(passage);
}

static void on_end(void *user)
{
    struct passage *passage = user;
    relay_push_end(&passage->far.relay);
}

static size_t on_pull(void *user, void *buffer, size_t capacity)
{
    struct passage *passage = user;
    return relay_pull(&passage->far.relay, buffer, capacity);
}

static void on_gone(void *user, const char *code, const char *message)
{
    struct passage *passage = user;
    struct passage_far *far = &passage->far;
    set_reason(passage, code, message);
    far->inbound->ops->close(far->inbound);
    far->inbound = NULL;
    far->gone = true;
    defer(passage);
}

static const struct inbound_callbacks inbound_callbacks = {on_connected, on_data, on_end, on_pull,
                                                           on_gone};

/* --- From the visitor's side ---------------------------------------------- */

void inbound_far_open(struct passage *passage)
{
    struct passage_far *far = &passage->far;
    relay_init(&far->relay, &active_ops, &owner_ops);
    if (atomic_load_explicit(&passage->near.is_over, memory_order_acquire)) {
        finish(passage, true);
        return;
    }
    far->deferred.run = settle;
    if (inbound_open_local(far->worker, passage->presence, passage->visitor, &inbound_callbacks,
                           passage, &far->inbound) < 0) {
        set_reason(passage, "TUNNEL_GONE", "the tunnel is gone");
        finish_gone(passage, false);
        return;
    }
    passage->id = far->inbound->ops->substream(far->inbound);
    inbound_link_post(passage, NOTE_OPENED);
    link_set_callbacks(far->link, &link_callbacks, passage);
    relay_join(&far->relay, &link_ops, far->link);
}

void inbound_far_close(struct passage *passage)
{
    passage->far.closing = true;
    defer(passage);
}
