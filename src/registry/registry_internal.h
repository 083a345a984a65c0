/* What the registry's files share.
 *
 *   registry.c         life, options, commit and cancel, what goes out to directories
 *   registry_claim.c   who gets which name and port
 *   registry_index.c   entries, and where they are found
 *   registry_online.c  tunnels
 */
#pragma once

/* Without memory an element isn't added (its table stays NULL); uthash would end the process. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "registry/names.h"
#include "registry/presences.h"
#include "registry/registry.h"

struct entry;

/* A host name that is given away: a socket has one, and two while it changes. */
struct host_node {
    UT_hash_handle hh;
    struct entry *entry;
    char name[];
};

struct owner_node {
    UT_hash_handle hh;
    size_t count; /* of sockets */
    char owner[];
};

/* A socket. */
struct entry {
    UT_hash_handle by_id, by_name, by_port;
    uint64_t id;
    uint16_t port;                 /* 0: none, and not in by_port */
    struct socket_facts *facts;    /* as on disk; NULL: it is new and not there yet */
    struct socket_facts *wanted;   /* on its way to disk; NULL: nothing is */
    struct host_node *host;        /* of `facts`; NULL without a host name of its own */
    struct host_node *host_wanted; /* of `wanted`, where it is another */
    struct owner_node *owner;
    struct presences presences;
    size_t name_size;
    char name[]; /* owner, NUL, name: the key of by_name */
};

struct tunnel_entry {
    UT_hash_handle hh;
    struct tunnel_ref ref;
    struct presences presences; /* what it serves */
};

struct registry_domains {
    char *domain;
    char **custom;
    size_t custom_count;
};

struct registry {
    struct registry_callbacks callbacks;
    void *user;
    struct registry_domains domains;
    uint16_t first_port, last_port;
    uint32_t max_sockets_per_owner;
    names_random *random;
    struct entry *by_id, *by_name, *by_port;
    struct host_node *hosts;
    struct owner_node *owners;
    struct tunnel_entry *tunnels;
    uint64_t last_id;
    uint16_t last_given_port; /* the search for a free one begins after it */
};

/* Facts as they are, or as they will be. */
static inline struct socket_facts *registry_current(const struct entry *entry)
{
    return entry->wanted ? entry->wanted : entry->facts;
}

struct entry *registry_index_find_id(const struct registry *registry, uint64_t id);
struct entry *registry_index_find_name(const struct registry *registry, const char *owner,
                                       const char *name);
struct entry *registry_index_find_host(const struct registry *registry, const char *host);
bool registry_index_has_port(const struct registry *registry, uint16_t port);
size_t registry_index_count_owner(const struct registry *registry, const char *owner);
/* Makes an entry found by all that facts say; facts and wanted are for the caller. NULL: no memory.
 * Nothing of it may be there yet. */
struct entry *registry_index_add(struct registry *registry, const struct socket_facts *facts)
    __attribute__((warn_unused_result));
/* With all that it holds. */
void registry_index_remove(struct registry *registry, struct entry *entry);
/* Also found by this host name from now on. NULL: no memory. */
struct host_node *registry_index_add_host(struct registry *registry, struct entry *entry,
                                          const char *host) __attribute__((warn_unused_result));
void registry_index_remove_host(struct registry *registry, struct host_node *node); /* NULL: fine */

void registry_publish(struct registry *registry, enum registry_change_kind kind,
                      struct socket_facts *facts, struct presence *presence);
