/* What the registry's files share.
 *
 *   registry.c         life, options, commit and cancel, what goes out to directories
 *   registry_claim.c   who gets which name and port
 *   registry_facts.c   what a socket is found by, changed to, and removed
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

/* An owner's name for a socket: one, and two while it changes. */
struct name_node {
    UT_hash_handle hh;
    struct entry *entry;
    size_t size;
    char key[]; /* owner, NUL, name */
};

struct owner_node {
    UT_hash_handle hh;
    struct entry *first, *last; /* in the order of ids */
    size_t count;               /* of sockets */
    uint64_t version;           /* registry_version() */
    char owner[];
};

/* A socket. */
struct entry {
    UT_hash_handle by_id, by_port, by_uuid;
    uint64_t id;
    char uuid[UUID_SIZE];          /* "": none, and not in by_uuid */
    uint16_t port;                 /* 0: none, and not in by_port */
    struct socket_facts *facts;    /* as on disk; NULL: it is new and not there yet */
    struct socket_facts *wanted;   /* on its way to disk; NULL: nothing is */
    struct host_node *host;        /* of `facts`; NULL without a host name of its own */
    struct host_node *host_wanted; /* of `wanted`, where it is another */
    struct name_node *name;
    struct name_node *name_wanted; /* of `wanted`, where it is another */
    struct owner_node *owner;
    struct entry *next, *previous; /* of the owner */
    struct presences presences;
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
    struct entry *by_id, *by_port, *by_uuid;
    struct host_node *hosts;
    struct name_node *names;
    struct owner_node *owners;
    struct tunnel_entry *tunnels;
    uint64_t last_id, version;
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
struct entry *registry_index_find_uuid(const struct registry *registry, const char *uuid);
struct owner_node *registry_index_find_owner(const struct registry *registry, const char *owner);
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
/* The same of the owner's name for it. */
struct name_node *registry_index_add_name(struct registry *registry, struct entry *entry,
                                          const char *owner, const char *name)
    __attribute__((warn_unused_result));
void registry_index_remove_name(struct registry *registry, struct name_node *node); /* NULL: fine */
/* Its presences end: REGISTRY_OFFLINE goes out for each. */
void registry_leave_all(struct registry *registry, struct entry *entry);
/* What is reserved is given up: the entry of a new socket goes, one that is there stays as it is.
 */
void registry_cancel_entry(struct registry *registry, struct entry *entry);
/* http and https are one kind: only the link that people are shown differs. */
bool registry_is_same_kind(enum socket_type a, enum socket_type b);
/* Names come to logs and terminals. */
bool registry_is_name(const char *name, size_t most);
/* It becomes a line of a request: a host with or without a port, and nothing that ends a line. */
bool registry_is_host_header(const char *text);
bool registry_is_description(const char *text); /* NULL is fine */

void registry_publish(struct registry *registry, enum registry_change_kind kind,
                      struct socket_facts *facts, struct presence *presence);
