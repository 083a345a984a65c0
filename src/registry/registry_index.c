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
    struct entry *entry = NULL;
    size_t size = make_key(owner, name, key);
    if (size)
        HASH_FIND(by_name, registry->by_name, key, size, entry);
    return entry;
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
    struct owner_node *node;
    HASH_FIND(hh, registry->owners, owner, strlen(owner), node);
    return node ? node->count : 0;
}

static struct owner_node *add_owner(struct registry *registry, const char *owner)
{
    struct owner_node *node;
    size_t length = strlen(owner);
    HASH_FIND(hh, registry->owners, owner, length, node);
    if (!node) {
        node = calloc(1, sizeof *node + length + 1);
        if (!node)
            return NULL;
        memcpy(node->owner, owner, length + 1);
        HASH_ADD_KEYPTR(hh, registry->owners, node->owner, length, node);
        if (!node->hh.tbl) {
            free(node);
            return NULL;
        }
    }
    node->count++;
    return node;
}

static void remove_owner(struct registry *registry, struct owner_node *node)
{
    if (!node || --node->count)
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

static struct entry *new_entry(const struct socket_facts *facts)
{
    char key[REGISTRY_OWNER_MAX + REGISTRY_NAME_MAX + 2];
    size_t size = make_key(facts->owner, facts->name, key);
    struct entry *entry = size ? calloc(1, sizeof *entry + size) : NULL;
    if (!entry)
        return NULL;
    entry->id = facts->id;
    entry->port = facts->port;
    entry->name_size = size;
    memcpy(entry->name, key, size);
    return entry;
}

struct entry *registry_index_add(struct registry *registry, const struct socket_facts *facts)
{
    struct entry *entry = new_entry(facts);
    bool has_host = socket_type_has_host(facts->type);
    if (!entry)
        return NULL;
    HASH_ADD(by_id, registry->by_id, id, sizeof entry->id, entry);
    HASH_ADD_KEYPTR(by_name, registry->by_name, entry->name, entry->name_size, entry);
    if (entry->port)
        HASH_ADD(by_port, registry->by_port, port, sizeof entry->port, entry);
    if (has_host)
        entry->host = registry_index_add_host(registry, entry, facts->hostname);
    entry->owner = add_owner(registry, facts->owner);
    if (!entry->by_id.tbl || !entry->by_name.tbl || (entry->port && !entry->by_port.tbl) ||
        (has_host && !entry->host) || !entry->owner) {
        registry_index_remove(registry, entry);
        return NULL;
    }
    return entry;
}

void registry_index_remove(struct registry *registry, struct entry *entry)
{
    if (entry->by_id.tbl)
        HASH_DELETE(by_id, registry->by_id, entry);
    if (entry->by_name.tbl)
        HASH_DELETE(by_name, registry->by_name, entry);
    if (entry->by_port.tbl)
        HASH_DELETE(by_port, registry->by_port, entry);
    registry_index_remove_host(registry, entry->host);
    registry_index_remove_host(registry, entry->host_wanted);
    remove_owner(registry, entry->owner);
    presences_deinit(&entry->presences);
    socket_facts_unref(entry->facts);
    socket_facts_unref(entry->wanted);
    free(entry);
}
