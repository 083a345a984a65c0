#include <stdlib.h>
#include <string.h>

#include "registry/registry_internal.h"

struct entry *registry_index_find_id(const struct registry *registry, uint64_t id)
{
    struct entry *entry;
    HASH_FIND(by_id, registry->by_id, &id, sizeof id, entry);
    return entry;
}

/* Both have bounds that a claim has been held to, and what was loaded was claimed once. */
static size_t make_key(const char *owner, const char *name,
                       char key[REGISTRY_OWNER_MAX + REGISTRY_NAME_MAX + 2])
{
    size_t owner_size = strlen(owner) + 1, name_length = strlen(name);
    if (owner_size > REGISTRY_OWNER_MAX + 1 || name_length > REGISTRY_NAME_MAX)
        return 0;
    memcpy(key, owner, owner_size);
    memcpy(key + owner_size, name, name_length);
    return owner_size + name_length;
}

struct entry *registry_index_find_name(const struct registry *registry, const char *owner,
                                       const char *name)
{
    char key[REGISTRY_OWNER_MAX + REGISTRY_NAME_MAX + 2];
    struct name_node *node = NULL;
    size_t size = make_key(owner, name, key);
    if (size)
        HASH_FIND(hh, registry->names, key, size, node);
    return node ? node->entry : NULL;
}

struct entry *registry_index_find_uuid(const struct registry *registry, const char *uuid)
{
    struct entry *entry;
    HASH_FIND(by_uuid, registry->by_uuid, uuid, strlen(uuid), entry);
    return entry;
}

struct owner_node *registry_index_find_owner(const struct registry *registry, const char *owner)
{
    struct owner_node *node;
    HASH_FIND(hh, registry->owners, owner, strlen(owner), node);
    return node;
}

struct entry *registry_index_find_host(const struct registry *registry, const char *host)
{
    struct host_node *node;
    HASH_FIND(hh, registry->hosts, host, strlen(host), node);
    return node ? node->entry : NULL;
}

bool registry_index_has_port(const struct registry *registry, uint16_t port)
{
    struct entry *entry;
    HASH_FIND(by_port, registry->by_port, &port, sizeof port, entry);
    return entry;
}

size_t registry_index_count_owner(const struct registry *registry, const char *owner)
{
    const struct owner_node *node = registry_index_find_owner(registry, owner);
    return node ? node->count : 0;
}

static struct owner_node *ensure_owner(struct registry *registry, const char *owner)
{
    struct owner_node *node = registry_index_find_owner(registry, owner);
    if (node)
        return node;
    size_t length = strlen(owner);
    node = calloc(1, sizeof *node + length + 1);
    if (!node)
        return NULL;
    memcpy(node->owner, owner, length + 1);
    HASH_ADD_KEYPTR(hh, registry->owners, node->owner, length, node);
    if (node->hh.tbl)
        return node;
    free(node);
    return NULL;
}

/* Behind those of lower ids: mostly at the end, as ids only grow. */
static void join_owner(struct owner_node *node, struct entry *entry)
{
    struct entry *before = node->last;
    while (before && before->id > entry->id)
        before = before->previous;
    entry->owner = node;
    entry->previous = before;
    entry->next = before ? before->next : node->first;
    *(entry->next ? &entry->next->previous : &node->last) = entry;
    *(before ? &before->next : &node->first) = entry;
    node->count++;
}

static void leave_owner(struct registry *registry, struct entry *entry)
{
    struct owner_node *node = entry->owner;
    if (!node)
        return;
    *(entry->next ? &entry->next->previous : &node->last) = entry->previous;
    *(entry->previous ? &entry->previous->next : &node->first) = entry->next;
    if (--node->count)
        return;
    HASH_DEL(registry->owners, node);
    free(node);
}

struct host_node *registry_index_add_host(struct registry *registry, struct entry *entry,
                                          const char *host)
{
    size_t length = strlen(host);
    struct host_node *node = calloc(1, sizeof *node + length + 1);
    if (!node)
        return NULL;
    node->entry = entry;
    memcpy(node->name, host, length + 1);
    HASH_ADD_KEYPTR(hh, registry->hosts, node->name, length, node);
    if (!node->hh.tbl) {
        free(node);
        return NULL;
    }
    return node;
}

void registry_index_remove_host(struct registry *registry, struct host_node *node)
{
    if (!node)
        return;
    HASH_DEL(registry->hosts, node);
    free(node);
}

struct name_node *registry_index_add_name(struct registry *registry, struct entry *entry,
                                          const char *owner, const char *name)
{
    char key[REGISTRY_OWNER_MAX + REGISTRY_NAME_MAX + 2];
    size_t size = make_key(owner, name, key);
    struct name_node *node = size ? calloc(1, sizeof *node + size) : NULL;
    if (!node)
        return NULL;
    node->entry = entry;
    node->size = size;
    memcpy(node->key, key, size);
    HASH_ADD_KEYPTR(hh, registry->names, node->key, size, node);
    if (node->hh.tbl)
        return node;
    free(node);
    return NULL;
}

void registry_index_remove_name(struct registry *registry, struct name_node *node)
{
    if (!node)
        return;
    HASH_DEL(registry->names, node);
    free(node);
}

/* False: no memory. */
static bool add_keys(struct registry *registry, struct entry *entry,
                     const struct socket_facts *facts)
{
    HASH_ADD(by_id, registry->by_id, id, sizeof entry->id, entry);
    if (!entry->by_id.tbl)
        return false;
    if (entry->port) {
        HASH_ADD(by_port, registry->by_port, port, sizeof entry->port, entry);
        if (!entry->by_port.tbl)
            return false;
    }
    if (*entry->uuid) {
        HASH_ADD(by_uuid, registry->by_uuid, uuid, strlen(entry->uuid), entry);
        if (!entry->by_uuid.tbl)
            return false;
    }
    entry->name = registry_index_add_name(registry, entry, facts->owner, facts->name);
    if (socket_type_has_host(facts->type)) {
        entry->host = registry_index_add_host(registry, entry, facts->hostname);
        if (!entry->host)
            return false;
    }
    return entry->name;
}

struct entry *registry_index_add(struct registry *registry, const struct socket_facts *facts)
{
    struct entry *entry = calloc(1, sizeof *entry);
    struct owner_node *owner = entry ? ensure_owner(registry, facts->owner) : NULL;
    if (!owner) {
        free(entry);
        return NULL;
    }
    entry->id = facts->id;
    entry->port = facts->port;
    memcpy(entry->uuid, facts->uuid, sizeof entry->uuid);
    join_owner(owner, entry);
    if (add_keys(registry, entry, facts))
        return entry;
    registry_index_remove(registry, entry);
    return NULL;
}

void registry_index_remove(struct registry *registry, struct entry *entry)
{
    if (entry->by_id.tbl)
        HASH_DELETE(by_id, registry->by_id, entry);
    if (entry->by_port.tbl)
        HASH_DELETE(by_port, registry->by_port, entry);
    if (entry->by_uuid.tbl)
        HASH_DELETE(by_uuid, registry->by_uuid, entry);
    registry_index_remove_name(registry, entry->name);
    registry_index_remove_name(registry, entry->name_wanted);
    registry_index_remove_host(registry, entry->host);
    registry_index_remove_host(registry, entry->host_wanted);
    leave_owner(registry, entry);
    presences_deinit(&entry->presences);
    socket_facts_unref(entry->facts);
    socket_facts_unref(entry->wanted);
    free(entry);
}
