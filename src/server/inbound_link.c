/* The visitor's side of an inbound whose tunnel is another worker's. */
#include "server/inbound_link.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "net/conn.h"
#include "server/worker.h"

/* What is read from the link at once. Nothing more is read while as much as this is with the edge
 * and wasn't passed on: that, and LINK_WINDOW in the link, is all that waits for a slow visitor. */
#define PIECE 32768

void inbound_link_hold(struct passage *passage)
{
    atomic_fetch_add_explicit(&passage->references, 1, memory_order_relaxed);
}

void inbound_link_let_go(struct passage *passage)
{
    if (atomic_fetch_sub_explicit(&passage->references, 1, memory_order_acq_rel) > 1)
        return;
    presence_unref(passage->presence);
    free(passage->code);
    free(passage->detail);
    free(passage);
}

static bool is_over(const struct passage *passage)
{
    return atomic_load_explicit(&passage->near.is_over, memory_order_relaxed);
}

/* --- Messages ------------------------------------------------------------- */

static void take_note(struct loop_message *message);

void inbound_link_post(struct passage *passage, enum note_kind kind)
{
    struct note *note = &passage->notes[kind];
    bool is_for_far = kind == NOTE_OPEN || kind == NOTE_CLOSE;
    const atomic_bool *over = is_for_far ? &passage->far.is_over : &passage->near.is_over;
    if (note->passage || atomic_load_explicit(over, memory_order_acquire))
        return;
    *note = (struct note){{.run = take_note}, passage, kind};
    inbound_link_hold(passage);
    loop_post((is_for_far ? passage->far.worker : passage->near.worker)->loop, &note->message);
}

static void defer(struct passage *passage)
{
    if (!is_over(passage))
        loop_defer(passage->near.worker->loop, &passage->near.deferred);
}

static void take_near_note(struct passage *passage, enum note_kind kind)
{
    struct passage_near *near = &passage->near;
    if (is_over(passage) || near->gone_told)
        return;
    if (kind == NOTE_OPENED) {
        near->id = passage->id;
    } else if (kind == NOTE_CONNECTED) {
        passage->inbound.callbacks->on_connected(passage->inbound.user);
    } else {
        near->gone = true;
        defer(passage);
    }
}

static void take_note(struct loop_message *message)
{
    struct note *note = (struct note *)message;
    struct passage *passage = note->passage;
    if (note->kind == NOTE_OPEN)
        inbound_far_open(passage);
    else if (note->kind != NOTE_CLOSE)
        take_near_note(passage, note->kind);
    else if (!atomic_load_explicit(&passage->far.is_over, memory_order_relaxed))
        inbound_far_close(passage);
    inbound_link_let_go(passage);
}

/* --- Between edge and link ------------------------------------------------ */

static void pull(struct passage *passage)
{
    struct passage_near *near = &passage->near;
    char buffer[PIECE];
    size_t room;
    while (near->pull && !near->out_ended && (room = link_room(near->link))) {
        size_t capacity = room < sizeof buffer ? room : sizeof buffer;
        size_t count = passage->inbound.callbacks->on_pull(passage->inbound.user, buffer, capacity);
        if (is_over(passage))
            return;
        near->pull = count > 0;
        if (count > 0 && link_write(near->link, buffer, count) < 0)
            return; /* on_aborted will tell */
    }
    if (near->out_ended && !near->shut) {
        near->shut = true;
        link_shutdown(near->link);
    }
}

static void push(struct passage *passage)
{
    struct passage_near *near = &passage->near;
    char buffer[PIECE];
    while (!is_over(passage) && !near->in_ended && near->unconsumed < PIECE) {
        ssize_t count = link_read(near->link, buffer, sizeof buffer);
        if (count == CONN_END)
            near->in_ended = true;
        if (count <= 0)
            return;
        near->unconsumed += (size_t)count;
        passage->inbound.callbacks->on_data(passage->inbound.user, buffer, (size_t)count);
    }
}

static void tell_gone(struct passage *passage, const char *code, const char *detail)
{
    if (is_over(passage) || passage->near.gone_told)
        return;
    passage->near.gone_told = true;
    passage->inbound.callbacks->on_gone(passage->inbound.user, code ? code : "",
                                        detail ? detail : "");
}

/* The link's end is the service's, unless it was closed because the inbound was gone. */
static void tell_ends(struct passage *passage)
{
    struct passage_near *near = &passage->near;
    if (is_over(passage) || !near->in_ended)
        return;
    if (!near->end_told && (!near->gone || passage->service_ended)) {
        near->end_told = true;
        passage->inbound.callbacks->on_end(passage->inbound.user);
    }
    if (near->gone)
        tell_gone(passage, passage->code, passage->detail);
}

static void work(struct loop_deferred *deferred)
{
    struct passage *passage =
        (struct passage *)(void *)((char *)deferred - offsetof(struct passage, near.deferred));
    if (passage->near.gone_told)
        return;
    inbound_link_hold(passage);
    pull(passage);
    push(passage);
    tell_ends(passage);
    inbound_link_let_go(passage);
}

static void on_event(struct link_end *link)
{
    defer(link_user(link));
}

static void on_aborted(struct link_end *link)
{
    struct passage *passage = link_user(link);
    if (passage->near.gone)
        tell_gone(passage, passage->code, passage->detail);
    else
        tell_gone(passage, "TUNNEL_GONE", "the tunnel's worker gave it up");
}

static const struct link_callbacks link_callbacks = {on_event, on_event, on_aborted};

/* --- What the edge does --------------------------------------------------- */

static struct passage *passage_of(struct inbound *inbound)
{
    return (struct passage *)inbound;
}

static void ready(struct inbound *inbound)
{
    passage_of(inbound)->near.pull = true;
    defer(passage_of(inbound));
}

static void consume(struct inbound *inbound, size_t length)
{
    struct passage_near *near = &passage_of(inbound)->near;
    assert(length <= near->unconsumed);
    near->unconsumed -= length;
    defer(passage_of(inbound));
}

static void end(struct inbound *inbound)
{
    passage_of(inbound)->near.out_ended = true;
    defer(passage_of(inbound));
}

static void finish(struct passage *passage, bool must_abort)
{
    struct passage_near *near = &passage->near;
    loop_undefer(near->worker->loop, &near->deferred);
    (must_abort ? link_abort : link_close)(near->link);
    near->link = NULL;
    if (!must_abort)
        inbound_link_post(passage, NOTE_CLOSE);
    atomic_store_explicit(&near->is_over, true, memory_order_release);
    inbound_link_let_go(passage);
}

static void abort_inbound(struct inbound *inbound)
{
    finish(passage_of(inbound), true);
}

static void close_inbound(struct inbound *inbound)
{
    const struct passage_near *near = &passage_of(inbound)->near;
    finish(passage_of(inbound), !near->out_ended || !near->end_told);
}

static uint16_t substream(const struct inbound *inbound)
{
    return ((const struct passage *)inbound)->near.id;
}

static const struct inbound_ops ops = {ready,         consume,       end,
                                       close_inbound, abort_inbound, substream};

int inbound_open_remote(struct worker *worker, struct presence *presence, const char *visitor,
                        const struct inbound_callbacks *callbacks, void *user,
                        struct inbound **ret_inbound)
{
    const struct worker_host *host = worker->host;
    if (presence->ref.worker >= host->worker_count)
        return -1;
    struct passage *passage = calloc(1, sizeof *passage);
    if (!passage)
        return -1;
    passage->inbound = (struct inbound){&ops, callbacks, user};
    passage->near.worker = worker;
    passage->near.deferred.run = work;
    passage->far.worker = host->workers[presence->ref.worker];
    if (link_new(worker->loop, passage->far.worker->loop, &passage->near.link, &passage->far.link) <
        0) {
        free(passage);
        return -1;
    }
    atomic_init(&passage->references, 2);
    atomic_init(&passage->near.is_over, false);
    atomic_init(&passage->far.is_over, false);
    passage->presence = presence_ref(presence);
    snprintf(passage->visitor, sizeof passage->visitor, "%s", visitor);
    link_set_callbacks(passage->near.link, &link_callbacks, passage);
    inbound_link_post(passage, NOTE_OPEN);
    *ret_inbound = &passage->inbound;
    return 0;
}
