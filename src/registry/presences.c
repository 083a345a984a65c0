#include "registry/presences.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

void presences_deinit(struct presences *presences)
{
    for (size_t i = 0; i < presences->count; i++)
        presence_unref(presences->items[i]);
    free(presences->items);
    *presences = (struct presences){0};
}

int presences_add(struct presences *presences, struct presence *presence)
{
    if (presences->count == presences->capacity) {
        /* mostly it is one */
        size_t capacity = presences->capacity ? 2 * presences->capacity : 1;
        struct presence **items = realloc(presences->items, capacity * sizeof *items);
        if (!items)
            return -ENOMEM;
        presences->items = items;
        presences->capacity = capacity;
    }
    presences->items[presences->count++] = presence_ref(presence);
    return 0;
}

void presences_remove(struct presences *presences, struct presence *presence)
{
    size_t at = 0;
    while (at < presences->count && presences->items[at] != presence)
        at++;
    if (at == presences->count)
        return;
    presences->count--;
    memmove(presences->items + at, presences->items + at + 1,
            (presences->count - at) * sizeof *presences->items);
    if (presences->turn > at)
        presences->turn--;
    presence_unref(presence);
}

static bool is_among(const struct presence *presence, struct presence *const *tried, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (tried[i] == presence)
            return true;
    return false;
}

struct presence *presences_pick(struct presences *presences, struct presence *const *tried,
                                size_t tried_count)
{
    size_t count = presences->count, best = count;
    int least = INT_MAX;
    for (size_t i = 0; i < count; i++) {
        size_t at = (presences->turn + i) % count;
        struct presence *presence = presences->items[at];
        int busy = atomic_load_explicit(&presence->busy, memory_order_relaxed);
        if (is_among(presence, tried, tried_count) || (best < count && busy >= least))
            continue;
        best = at;
        least = busy;
    }
    if (best == count)
        return NULL;
    presences->turn = best + 1;
    return presences->items[best];
}
