#include "registry/directory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Without memory an element isn't added (its table stays NULL); uthash would end the process. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "registry/host_name.h"
#include "registry/presences.h"

struct directory_entry {
    UT_hash_handle by_id, by_host;
    uint64_t id;
    struct socket_facts *facts; /* the key of by_host is in them */
    struct presences presences;
};

struct directory {
    struct directory_entry *by_id, *by_host;
};

int directory_new(struct directory **ret_directory)
{
    struct directory *directory = calloc(1, sizeof *directory);
    if (!directory)
        return -ENOMEM;
    *ret_directory = directory;
    return 0;
}

static struct directory_entry *find_id(const struct directory *directory, uint64_t id)
{
    struct directory_entry *entry;
    HASH_FIND(by_id, directory->by_id, &id, sizeof id, entry);
    return entry;
}

static void remove_host(struct directory *directory, struct directory_entry *entry)
{
    if (entry->by_host.tbl)
        HASH_DELETE(by_host, directory->by_host, entry);
    entry->by_host.tbl = NULL;
}

static int add_host(struct directory *directory, struct directory_entry *entry)
{
    const char *host = entry->facts->hostname;
    if (!socket_type_has_host(entry->facts->type))
        return 0;
    HASH_ADD_KEYPTR(by_host, directory->by_host, host, strlen(host), entry);
    return entry->by_host.tbl ? 0 : -ENOMEM;
}

static void remove_entry(struct directory *directory, struct directory_entry *entry)
{
    remove_host(directory, entry);
    if (entry->by_id.tbl)
        HASH_DELETE(by_id, directory->by_id, entry);
    presences_deinit(&entry->presences);
    socket_facts_unref(entry->facts);
    free(entry);
}

void directory_free(struct directory *directory)
{
    if (!directory)
        return;
    while (directory->by_id)
        remove_entry(directory, directory->by_id);
    free(directory);
}

static int add_entry(struct directory *directory, struct socket_facts *facts)
{
    struct directory_entry *entry = calloc(1, sizeof *entry);
    if (!entry)
        return -ENOMEM;
    entry->id = facts->id;
    entry->facts = socket_facts_ref(facts);
    HASH_ADD(by_id, directory->by_id, id, sizeof entry->id, entry);
    if (entry->by_id.tbl && add_host(directory, entry) == 0)
        return 0;
    remove_entry(directory, entry);
    return -ENOMEM;
}

/* Taking out an element frees no table but an empty one, so only then can putting it back fail. */
static int change_facts(struct directory *directory, struct directory_entry *entry,
                        struct socket_facts *facts)
{
    struct socket_facts *before = entry->facts;
    remove_host(directory, entry);
    entry->facts = socket_facts_ref(facts);
    if (add_host(directory, entry) == 0) {
        socket_facts_unref(before);
        return 0;
    }
    socket_facts_unref(facts);
    entry->facts = before;
    (void)add_host(directory, entry);
    return -ENOMEM;
}

int directory_apply(struct directory *directory, const struct registry_change *change)
{
    struct directory_entry *entry = find_id(directory, change->facts->id);
    switch (change->kind) {
    case REGISTRY_PUT:
        return entry ? change_facts(directory, entry, change->facts)
                     : add_entry(directory, change->facts);
    case REGISTRY_REMOVE:
        if (entry)
            remove_entry(directory, entry);
        return 0;
    case REGISTRY_ONLINE: /* without an entry, its PUT was lost for want of memory */
        return entry ? presences_add(&entry->presences, change->presence) : -ENOMEM;
    case REGISTRY_OFFLINE:
        if (entry)
            presences_remove(&entry->presences, change->presence);
        return 0;
    }
    return 0;
}

const struct directory_entry *directory_find_host(const struct directory *directory,
                                                  const char *name, size_t length)
{
    char host[REGISTRY_HOST_MAX + 1];
    struct directory_entry *entry;
    length = host_name_fold(name, length, host);
    if (!length)
        return NULL;
    HASH_FIND(by_host, directory->by_host, host, length, entry);
    return entry;
}

const struct directory_entry *directory_find_id(const struct directory *directory, uint64_t id)
{
    return find_id(directory, id);
}

const struct socket_facts *directory_facts(const struct directory_entry *entry)
{
    return entry->facts;
}

size_t directory_presences(const struct directory_entry *entry)
{
    return entry->presences.count;
}

struct presence *directory_presence(const struct directory_entry *entry, size_t index)
{
    return entry->presences.items[index];
}

/* The entry is the directory's own, which may be changed here: whose turn it is. */
struct presence *directory_pick(struct directory *directory, const struct directory_entry *entry,
                                struct presence *const *tried, size_t tried_count)
{
    return presences_pick(&((struct directory_entry *)entry)->presences, tried, tried_count);
}
