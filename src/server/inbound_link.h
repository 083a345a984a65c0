/* An inbound between two workers, from the inside: for inbound_link.c (the visitor's side) and
 * inbound_far.c (the tunnel's side).
 *
 *   visitor's worker                                    tunnel's worker
 *   edge ── struct inbound ── link end ══════ link end ── relay ── local inbound ── substream
 *
 * Bytes and half-closes go over the link. What else there is to say goes in messages, each of which
 * is sent once at most, and kept ready: they can't fail.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "net/link.h"
#include "net/loop.h"
#include "net/relay.h"
#include "server/inbound.h"

struct passage;

enum note_kind {
    NOTE_OPEN,      /* to the tunnel's side: begin */
    NOTE_CLOSE,     /* to the tunnel's side: close in order */
    NOTE_OPENED,    /* to the visitor's side: the substream's id */
    NOTE_CONNECTED, /* to the visitor's side: on_connected */
    NOTE_GONE,      /* to the visitor's side: on_gone, when the link has been read to its end */
    NOTE_COUNT,
};

struct note {
    struct loop_message message; /* first */
    struct passage *passage;
    enum note_kind kind;
};

/* Touched by the visitor's worker alone. */
struct passage_near {
    struct worker *worker;
    struct link_end *link;
    struct loop_deferred deferred;
    size_t unconsumed;   /* given to on_data and not passed on yet */
    uint16_t id;         /* of the substream */
    bool pull;           /* there may be something to pull */
    bool out_ended;      /* the visitor sends no more */
    bool in_ended;       /* the link was read to its end */
    bool end_told;       /* the service sends no more */
    bool gone;           /* NOTE_GONE has come */
    bool gone_told;      /* nothing more is told */
    bool shut;           /* the link was told of out_ended */
    atomic_bool is_over; /* closed or aborted by the edge; read by both sides */
};

/* Touched by the tunnel's worker alone. */
struct passage_far {
    struct worker *worker;
    struct link_end *link;
    struct inbound *inbound; /* NULL: not open yet, or gone */
    struct relay relay;      /* active: the inbound; passive: the link */
    struct loop_deferred deferred;
    bool closing;        /* NOTE_CLOSE has come: closed when the relay is done */
    bool gone;           /* the inbound is: what it left is still written */
    atomic_bool is_over; /* read by both sides */
};

struct passage {
    struct inbound inbound; /* first; the edge's */
    atomic_int references;  /* a side that isn't over, a message under way, a call under way */
    struct presence *presence;
    struct note notes[NOTE_COUNT];
    /* Written before the note that brings them is posted. */
    uint16_t id;         /* NOTE_OPENED */
    char *code, *detail; /* NOTE_GONE; NULL: "" */
    bool service_ended;  /* NOTE_GONE: the end of the link is the service's */
    char visitor[PLEX_VISITOR_MAX + 1];
    struct passage_near near;
    struct passage_far far;
};

/* inbound_link.c */
void inbound_link_hold(struct passage *passage);
void inbound_link_let_go(struct passage *passage);
/* Nothing happens when the side that it is for is over already: its loop may be gone. */
void inbound_link_post(struct passage *passage, enum note_kind kind);

/* inbound_far.c */
void inbound_far_open(struct passage *passage);
void inbound_far_close(struct passage *passage);
