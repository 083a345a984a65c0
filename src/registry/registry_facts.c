/* What a socket is found by, changed to, and removed. */
#include <string.h>

#include "base/utf8.h"
#include "registry/registry_internal.h"

bool registry_is_same_kind(enum socket_type a, enum socket_type b)
{
    bool a_is_http = a == SOCKET_HTTP || a == SOCKET_HTTPS;
    bool b_is_http = b == SOCKET_HTTP || b == SOCKET_HTTPS;
    return a == b || (a_is_http && b_is_http);
}

bool registry_is_name(const char *name, size_t most)
{
    size_t length = strlen(name);
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)name[i] < ' ' || name[i] == 0x7f)
            return false;
    return length && length <= most;
}

bool registry_is_host_header(const char *text)
{
    size_t length = strlen(text);
    return length && length <= REGISTRY_HOST_MAX + 6 &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                        "-._:[]") == length;
}

bool registry_is_description(const char *text)
{
    if (!text)
        return true;
    if (strlen(text) > REGISTRY_DESCRIPTION_MAX)
        return false;
    for (size_t length; *text; text += length) {
        length = utf8_length(text);
        if (!length || (utf8_is_control(text, length) && *text != '\n' && *text != '\t'))
            return false;
    }
    return true;
}

/* --- Changes --- */

static int judge(const struct socket_facts *before, const struct socket_facts *facts)
{
    if (!registry_is_same_kind(before->type, facts->type))
        return REGISTRY_OTHER_TYPE;
    if (before->port != facts->port || before->created != facts->created ||
        strcmp(before->uuid, facts->uuid) != 0 || strcmp(before->owner, facts->owner) != 0 ||
        strcmp(before->hostname, facts->hostname) != 0)
        return REGISTRY_NOT_ALLOWED;
    if (!registry_is_name(facts->name, REGISTRY_NAME_MAX) ||
        !registry_is_description(facts->description) ||
        (facts->host_header && !registry_is_host_header(facts->host_header)))
        return REGISTRY_BAD_NAME;
    return REGISTRY_OK;
}

int registry_reserve(struct registry *registry, struct socket_facts *facts)
{
    struct entry *entry = registry_index_find_id(registry, facts->id);
    if (!entry || !entry->facts)
        return REGISTRY_UNKNOWN;
    if (entry->wanted)
        return REGISTRY_BUSY;
    int error = judge(entry->facts, facts);
    if (error)
        return error;
    if (strcmp(entry->facts->name, facts->name) != 0) {
        if (registry_index_find_name(registry, facts->owner, facts->name))
            return REGISTRY_TAKEN;
        entry->name_wanted = registry_index_add_name(registry, entry, facts->owner, facts->name);
        if (!entry->name_wanted)
            return REGISTRY_MEMORY;
    }
    if (facts->load != entry->facts->load) { /* nobody else has seen these facts yet */
        socket_load_unref(facts->load);
        facts->load = socket_load_ref(entry->facts->load);
    }
    entry->wanted = socket_facts_ref(facts);
    return REGISTRY_OK;
}

int registry_change(struct registry *registry, struct socket_facts *facts)
{
    int error = registry_reserve(registry, facts);
    if (!error)
        registry_commit(registry, facts);
    return error;
}

int registry_remove(struct registry *registry, uint64_t id)
{
    struct entry *entry = registry_index_find_id(registry, id);
    if (!entry || !entry->facts)
        return REGISTRY_UNKNOWN;
    struct socket_facts *facts = entry->facts;
    if (entry->wanted)
        registry_cancel_entry(registry, entry);
    registry_leave_all(registry, entry);
    if (entry->port)
        (void)registry->callbacks.on_port(registry->user, facts, false);
    registry_publish(registry, REGISTRY_REMOVE, facts, NULL);
    registry_index_remove(registry, entry);
    return REGISTRY_OK;
}

/* --- Lookups --- */

struct socket_facts *registry_find_id(const struct registry *registry, uint64_t id)
{
    const struct entry *entry = registry_index_find_id(registry, id);
    return entry ? entry->facts : NULL;
}

struct socket_facts *registry_find_uuid(const struct registry *registry, const char *uuid)
{
    const struct entry *entry = registry_index_find_uuid(registry, uuid);
    return entry ? entry->facts : NULL;
}

void registry_each_of(const struct registry *registry, const char *owner,
                      void (*each)(void *user, struct socket_facts *facts, size_t presences),
                      void *user)
{
    const struct owner_node *node = owner ? registry_index_find_owner(registry, owner) : NULL;
    const struct entry *entry = owner ? (node ? node->first : NULL) : registry->by_id;
    for (; entry; entry = owner ? entry->next : entry->by_id.next)
        if (entry->facts)
            each(user, entry->facts, entry->presences.count);
}

uint64_t registry_version(const struct registry *registry, const char *owner)
{
    const struct owner_node *node = owner ? registry_index_find_owner(registry, owner) : NULL;
    if (owner)
        return node ? node->version : 0;
    return registry->version;
}
