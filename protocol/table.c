/* A session's substreams by id, and the lists they wait in. */
#include "internal.h"

#include <string.h>

#define LEAST_BITS 3

static uint32_t home(const struct plex_table *table, uint16_t id)
{
    /* Ids come in steps of two: a multiplication spreads them, its high bits choose. */
    return (uint32_t)(id * 2654435769u) >> (32 - table->bits);
}

static uint32_t last_slot(const struct plex_table *table)
{
    return (1u << table->bits) - 1;
}

static size_t bytes_of(uint8_t bits)
{
    return sizeof(struct plex_substream *) << bits;
}

struct plex_substream *plex_table_find(const struct plex_table *table, uint16_t id)
{
    if (!table->slots)
        return NULL;
    for (uint32_t slot = home(table, id);; slot = (slot + 1) & last_slot(table)) {
        struct plex_substream *substream = table->slots[slot];
        if (!substream || substream->id == id)
            return substream;
    }
}

static void put(struct plex_table *table, struct plex_substream *substream)
{
    uint32_t slot = home(table, substream->id);
    while (table->slots[slot])
        slot = (slot + 1) & last_slot(table);
    table->slots[slot] = substream;
}

static int resize(struct plex_session *session, uint8_t bits)
{
    struct plex_table *table = &session->table, old = *table;
    table->slots = plex_session_alloc(session, bytes_of(bits));
    if (!table->slots) {
        *table = old;
        return PLEX_OURS_MEMORY;
    }
    memset(table->slots, 0, bytes_of(bits));
    table->bits = bits;
    if (old.slots) {
        for (uint32_t slot = 0; slot <= last_slot(&old); slot++)
            if (old.slots[slot])
                put(table, old.slots[slot]);
        plex_session_release(session, old.slots, bytes_of(old.bits));
    }
    return 0;
}

int plex_table_add(struct plex_session *session, struct plex_substream *substream)
{
    struct plex_table *table = &session->table;
    /* At most three quarters full. */
    int r = 0;
    if (!table->slots)
        r = resize(session, LEAST_BITS);
    else if ((table->count + 1) * 4 > 3u << table->bits)
        r = resize(session, (uint8_t)(table->bits + 1));
    if (r < 0)
        return r;
    put(table, substream);
    table->count++;
    return 0;
}

void plex_table_remove(struct plex_session *session, uint16_t id)
{
    struct plex_table *table = &session->table;
    uint32_t hole = home(table, id), mask = last_slot(table);
    while (table->slots[hole]->id != id)
        hole = (hole + 1) & mask;
    /* What follows without a gap moves back, if the hole lies between its home and it. */
    for (uint32_t slot = (hole + 1) & mask; table->slots[slot]; slot = (slot + 1) & mask) {
        uint32_t distance = (slot - home(table, table->slots[slot]->id)) & mask;
        if (distance >= ((slot - hole) & mask)) {
            table->slots[hole] = table->slots[slot];
            hole = slot;
        }
    }
    table->slots[hole] = NULL;
    if (!--table->count) {
        plex_session_release(session, table->slots, bytes_of(table->bits));
        table->slots = NULL;
        table->bits = 0;
    } else if (table->bits > LEAST_BITS && table->count < 1u << table->bits >> 3) {
        /* When memory is short the larger table does as well. */
        (void)resize(session, (uint8_t)(table->bits - 1));
    }
}

struct plex_substream *plex_table_any(const struct plex_table *table, uint32_t *cursor)
{
    if (!table->count)
        return NULL;
    uint32_t slot = *cursor & last_slot(table);
    while (!table->slots[slot])
        slot = (slot + 1) & last_slot(table);
    *cursor = slot;
    return table->slots[slot];
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
