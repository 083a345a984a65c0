/* What can be said of a name without asking any server. For resolve.c alone. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "net/hosts.h"
#include "net/resolve_cache.h"
#include "net/resolve_search.h"

/* False for what can't be a host's name: letters, digits, "-", "_" and "." are allowed, and
 * RESOLVE_NAME_MAX characters. Anything else could mean something to c-ares (escapes) or to a
 * reader of logs. ret_lower: in lower case. */
bool resolve_local_normalize(const char *host, char ret_lower[RESOLVE_NAME_MAX + 1])
    __attribute__((warn_unused_result));

/* From the hosts file, or by the rules for special names (RFC 6761, RFC 7686). False: servers have
 * to be asked. *ret_answer: one reference, the caller's; NULL without memory. */
bool resolve_local_find(struct hosts *hosts, const char *name, uint64_t now,
                        struct resolve_answer **ret_answer) __attribute__((warn_unused_result));
