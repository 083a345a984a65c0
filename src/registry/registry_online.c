/* Which tunnels serve which socket. */
#include <stdlib.h>
#include <string.h>

#include "registry/registry_internal.h"

static struct tunnel_entry *find_tunnel(const struct registry *registry,
                                        const struct tunnel_ref *ref)
{
    struct tunnel_entry *tunnel;
    HASH_FIND(hh, registry->tunnels, ref, sizeof *ref, tunnel);
    return tunnel;
}

static struct tunnel_entry *ensure_tunnel(struct registry *registry, const struct tunnel_ref *ref)
{
    struct tunnel_entry *tunnel = find_tunnel(registry, ref);
    if (tunnel)
        return tunnel;
    tunnel = calloc(1, sizeof *tunnel);
    if (!tunnel)
        return NULL;
    tunnel->ref = *ref;
    HASH_ADD(hh, registry->tunnels, ref, sizeof tunnel->ref, tunnel);
    if (tunnel->hh.tbl)
        return tunnel;
    free(tunnel);
    return NULL;
}

static void drop_tunnel_if_idle(struct registry *registry, struct tunnel_entry *tunnel)
{
    if (tunnel->presences.count)
        return;
    HASH_DEL(registry->tunnels, tunnel);
    presences_deinit(&tunnel->presences);
    free(tunnel);
}

/* The presence whose place a new one takes: the same tunnel's, or the same agent's. */
static struct presence *find_stale(const struct entry *entry, const struct presence *newer)
{
    for (size_t i = 0; i < entry->presences.count; i++) {
        struct presence *presence = entry->presences.items[i];
        if (presence != newer &&
            (tunnel_ref_is_same(&presence->ref, &newer->ref) ||
             (*newer->instance && strcmp(presence->instance, newer->instance) == 0)))
            return presence;
    }
    return NULL;
}

/* After the newer one is there, so that the socket is never without. */
static void replace(struct registry *registry, struct entry *entry, struct presence *stale,
                    const struct tunnel_ref *newer)
{
    struct tunnel_ref ref = stale->ref;
    struct tunnel_entry *tunnel = find_tunnel(registry, &ref);
    presence_ref(stale);
    presences_remove(&entry->presences, stale);
    presences_remove(&tunnel->presences, stale);
    drop_tunnel_if_idle(registry, tunnel);
    registry_publish(registry, REGISTRY_OFFLINE, entry->facts, stale);
    presence_unref(stale);
    if (!tunnel_ref_is_same(&ref, newer))
        registry->callbacks.on_replaced(registry->user, ref);
}

static int add(struct registry *registry, struct entry *entry, struct presence *presence)
{
    struct tunnel_entry *tunnel = ensure_tunnel(registry, &presence->ref);
    if (!tunnel)
        return REGISTRY_MEMORY;
    if (presences_add(&tunnel->presences, presence) < 0) {
        drop_tunnel_if_idle(registry, tunnel);
        return REGISTRY_MEMORY;
    }
    if (presences_add(&entry->presences, presence) < 0) {
        presences_remove(&tunnel->presences, presence);
        drop_tunnel_if_idle(registry, tunnel);
        return REGISTRY_MEMORY;
    }
    return REGISTRY_OK;
}

int registry_online(struct registry *registry, const struct socket_facts *facts,
                    struct tunnel_ref ref, const char *service, const char *instance)
{
    struct entry *entry = registry_index_find_id(registry, facts->id);
    if (!entry || !entry->facts)
        return REGISTRY_MEMORY; /* not committed */
    struct presence *presence = presence_new(ref, entry->id, service, instance);
    if (!presence)
        return REGISTRY_MEMORY;
    bool is_first = entry->port && entry->presences.count == 0;
    int error = REGISTRY_OK;
    if (is_first && registry->callbacks.on_port(registry->user, entry->facts, true) < 0)
        error = REGISTRY_NO_PORT;
    else {
        error = add(registry, entry, presence);
        if (error && is_first)
            (void)registry->callbacks.on_port(registry->user, entry->facts, false);
    }
    if (!error) {
        struct presence *stale;
        registry_publish(registry, REGISTRY_ONLINE, entry->facts, presence);
        while ((stale = find_stale(entry, presence)))
            replace(registry, entry, stale, &ref);
    }
    presence_unref(presence);
    return error;
}

void registry_offline(struct registry *registry, struct tunnel_ref ref)
{
    struct tunnel_entry *tunnel = find_tunnel(registry, &ref);
    if (!tunnel)
        return;
    HASH_DEL(registry->tunnels, tunnel);
    for (size_t i = 0; i < tunnel->presences.count; i++) {
        struct presence *presence = tunnel->presences.items[i];
        struct entry *entry = registry_index_find_id(registry, presence->socket);
        presences_remove(&entry->presences, presence);
        registry_publish(registry, REGISTRY_OFFLINE, entry->facts, presence);
        if (entry->port && entry->presences.count == 0)
            (void)registry->callbacks.on_port(registry->user, entry->facts, false);
    }
    presences_deinit(&tunnel->presences);
    free(tunnel);
}

void registry_leave_all(struct registry *registry, struct entry *entry)
{
    while (entry->presences.count) {
        struct presence *presence = presence_ref(entry->presences.items[0]);
        struct tunnel_entry *tunnel = find_tunnel(registry, &presence->ref);
        presences_remove(&entry->presences, presence);
        presences_remove(&tunnel->presences, presence);
        drop_tunnel_if_idle(registry, tunnel);
        registry_publish(registry, REGISTRY_OFFLINE, entry->facts, presence);
        presence_unref(presence);
    }
}

struct presence *registry_pick(struct registry *registry, const struct socket_facts *facts)
{
    struct entry *entry = registry_index_find_id(registry, facts->id);
    return entry ? presences_pick(&entry->presences, NULL, 0) : NULL;
}
