/* A worker's own copy of who is online: lookups in O(1), without a lock. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "registry/registry.h"

struct directory;
struct directory_entry; /* a socket and its presences; valid until the next change is applied */

int directory_new(struct directory **ret_directory) __attribute__((warn_unused_result));
void directory_free(struct directory *directory); /* NULL is fine */
/* 0 or -ENOMEM (the change is lost). Takes references of its own. */
int directory_apply(struct directory *directory, const struct registry_change *change)
    __attribute__((warn_unused_result));

/* name: a host name in any case, with or without a dot at the end, without a port; not
 * NUL-terminated. NULL: no such socket. http and https sockets are one kind here. */
const struct directory_entry *directory_find_host(const struct directory *directory,
                                                  const char *name, size_t length);
const struct directory_entry *directory_find_id(const struct directory *directory, uint64_t id);
const struct socket_facts *directory_facts(const struct directory_entry *entry);
size_t directory_presences(const struct directory_entry *entry);
/* One of them, for who looks at all: index from 0. It is nobody's turn by that. Borrowed. */
struct presence *directory_presence(const struct directory_entry *entry, size_t index);
/* The presence with the fewest busy substreams, in turn among equals, that isn't one of the
 * `tried`. Borrowed: take a reference to keep it. NULL: none. */
struct presence *directory_pick(struct directory *directory, const struct directory_entry *entry,
                                struct presence *const *tried, size_t tried_count);
