/* A session's substreams by id, and the lists they wait in. */
#include "internal.h"

#include <string.h>

#define LEAST_BITS 3

static struct plex_substream **slot_of(const struct plex_table *table, uint16_t id)
{
    /* Ids come in steps of two: a multiplication spreads them, its high bits choose. */
    return &table->slots[(uint32_t)(id * 2654435769u) >> (32 - table->bits)];
}

static size_t bytes_of(uint8_t bits)
{
    return bits ? sizeof(struct plex_substream *) << bits : 0;
}

struct plex_substream *plex_table_find(const struct plex_table *table, uint16_t id)
{
    struct plex_substream *substream = table->slots ? *slot_of(table, id) : NULL;
    while (substream && substream->id != id)
        substream = substream->chain;
    return substream;
}

static void put(struct plex_table *table, struct plex_substream *substream)
{
    struct plex_substream **slot = slot_of(table, substream->id);
    substream->chain = *slot;
    *slot = substream;
}

/* To 2^bits slots, or none for 0. */
static bool resize(struct plex_session *session, uint8_t bits)
{
    struct plex_table old = session->table, new = {.count = old.count, .bits = bits};
    if (bits) {
        new.slots = plex_session_alloc(session, bytes_of(bits));
        if (!new.slots)
            return false;
        memset(new.slots, 0, bytes_of(bits));
    }
    for (size_t slot = 0; slot < bytes_of(old.bits) / sizeof *old.slots; slot++)
        for (struct plex_substream *at = old.slots[slot], *next; at; at = next) {
            next = at->chain;
            put(&new, at);
        }
    plex_session_release(session, old.slots, bytes_of(old.bits));
    session->table = new;
    return true;
}

int plex_table_add(struct plex_session *session, struct plex_substream *substream)
{
    struct plex_table *table = &session->table;
    if (!table->slots ? !resize(session, LEAST_BITS)
                      : table->count >> table->bits && !resize(session, (uint8_t)(table->bits + 1)))
        return PLEX_OURS_MEMORY;
    put(table, substream);
    table->count++;
    return 0;
}

void plex_table_remove(struct plex_session *session, struct plex_substream *substream)
{
    struct plex_table *table = &session->table;
    struct plex_substream **at = slot_of(table, substream->id);
    while (*at != substream)
        at = &(*at)->chain;
    *at = substream->chain;
    if (!--table->count)
        (void)resize(session, 0);
    else if (table->bits > LEAST_BITS && table->count < 1u << table->bits >> 2)
        /* When memory is short the larger table does as well. */
        (void)resize(session, (uint8_t)(table->bits - 1));
}

struct plex_substream *plex_table_any(const struct plex_table *table, uint32_t *cursor)
{
    if (!table->count)
        return NULL;
    for (;; ++*cursor) {
        struct plex_substream *substream = table->slots[*cursor & ((1u << table->bits) - 1)];
        if (substream)
            return substream;
    }
}

static uint16_t listed(enum plex_list_kind kind)
{
    return kind == LIST_READY ? SUB_READY_LIST : SUB_URGENT_LIST;
}

void plex_list_append(struct plex_substream *substream, enum plex_list_kind kind)
{
    struct plex_list *list = &substream->session->lists[kind];
    if (substream->marks & listed(kind))
        return;
    substream->marks |= listed(kind);
    substream->link[kind].next = NULL;
    substream->link[kind].previous = list->last;
    if (list->last)
        list->last->link[kind].next = substream;
    else
        list->first = substream;
    list->last = substream;
}

void plex_list_remove(struct plex_substream *substream, enum plex_list_kind kind)
{
    struct plex_list *list = &substream->session->lists[kind];
    struct plex_substream *next = substream->link[kind].next;
    struct plex_substream *previous = substream->link[kind].previous;
    if (!(substream->marks & listed(kind)))
        return;
    substream->marks &= (uint16_t)~listed(kind);
    if (previous)
        previous->link[kind].next = next;
    else
        list->first = next;
    if (next)
        next->link[kind].previous = previous;
    else
        list->last = previous;
}
