/* Names to addresses: c-ares on the loop, with a cache of ours (c-ares 1.18 has none).
 *
 * A and AAAA are asked for as two queries; the search domains of resolv.conf are tried as the C
 * library does, but for both families together. /etc/hosts is read (again when it changes) and goes
 * first; /etc/resolv.conf is re-read when it changes. Answers are kept by their TTL (at most 1 h,
 * at least 1 s), failures 5 s. Questions for one name at one time share one lookup. "localhost" and
 * names under it are loopback addresses, ".invalid" and ".onion" don't exist (RFC 6761, RFC 7686):
 * nobody is asked.
 *
 * The parts: resolve.c answers and shares, resolve_local.c knows what needs no server,
 * resolve_search.c asks for one name, resolve_channel.c is c-ares on the loop, resolve_cache.c and
 * hosts.c are what they are called.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "net/loop.h"

struct resolver;
struct resolve_query;

#define RESOLVE_ADDRESSES_MAX 16 /* more than any dial will try within its deadline */

enum {
    RESOLVE_OK = 0,
    /* Addresses, but one family's answer is 50 ms late (RFC 8305, section 3): the query stays open,
     * and on_done comes once more, with all addresses, when the late answer is there or given up.
     */
    RESOLVE_PARTIAL = 1,
    RESOLVE_NOT_FOUND = -1, /* "ENOTFOUND" */
    RESOLVE_AGAIN = -2,     /* "EAI_AGAIN": no answer from any server, or a server's failure */
    RESOLVE_NO_MEMORY = -3, /* "ENOMEM" */
};

/* Where a resolver looks; members that are 0 or NULL have the system's values. Strings are copied.
 */
struct resolver_options {
    const char *hosts_file;  /* /etc/hosts */
    const char *resolv_conf; /* /etc/resolv.conf */
    const char *servers;     /* "127.0.0.1:5353,[::1]:53"; NULL: those of resolv_conf */
    uint64_t
        timeout; /* microseconds for a server's first answer, doubled for the second try; 0: 2 s */
    uint64_t recheck; /* microseconds between two looks at the files; 0: 1 s */
};

/* error: RESOLVE_OK, RESOLVE_PARTIAL or what failed. addresses: IPv6 before IPv4 (families not
 * interleaved yet), or a hosts file's order; port 0; borrowed until return. */
typedef void resolve_on_done(void *user, int error, const union address *addresses, size_t count);

/* options: NULL for the system's defaults. 0 or RESOLVE_NO_MEMORY. */
int resolver_new(struct loop *loop, const struct resolver_options *options,
                 struct resolver **ret_resolver) __attribute__((warn_unused_result));
void resolver_free(
    struct resolver *resolver); /* open queries are cancelled without a callback; NULL is fine */

/* Asks for a name (no literals: address_from_host() knows them). on_done comes later, never before
 * this returns, unless resolve_cancel() came first. 0 or RESOLVE_NO_MEMORY. */
int resolve_start(struct resolver *resolver, const char *host, resolve_on_done *on_done, void *user,
                  struct resolve_query **ret_query) __attribute__((warn_unused_result));
void resolve_cancel(
    struct resolve_query *query); /* NULL is fine; not after on_done, unless that was partial */
/* "ENOTFOUND", "EAI_AGAIN", "ENOMEM" */
const char *resolve_error_code(int error);
