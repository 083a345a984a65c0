/* Names to addresses: c-ares on the loop, with a cache of ours (c-ares 1.18 has none).
 *
 * A and AAAA are asked for as two queries; /etc/hosts is read (again when it changes) and goes first; /etc/resolv.conf
 * is re-read when it changes. Answers are kept by their TTL (at most 1 h, at least 1 s), failures 5 s. Questions for
 * one name at one time share one query. "localhost" and names under it are loopback addresses (RFC 6761).
 */
#pragma once

#include <stddef.h>

#include "base/address.h"
#include "net/loop.h"

struct resolver;
struct resolve_query;

#define RESOLVE_ADDRESSES_MAX 16 /* more than any dial will try within its deadline */

enum {
    RESOLVE_OK = 0,
    RESOLVE_NOT_FOUND = -1, /* "ENOTFOUND" */
    RESOLVE_AGAIN = -2,     /* "EAI_AGAIN": no answer from any server, or a server's failure */
    RESOLVE_NO_MEMORY = -3,
};

/* addresses are in the order to be tried (RFC 6724 as far as c-ares sorts; families not interleaved yet), port 0. */
typedef void resolve_on_done(void *user, int error, const union address *addresses, size_t count);

int resolver_new(struct loop *loop, struct resolver **ret_resolver) __attribute__((warn_unused_result));
void resolver_free(struct resolver *resolver); /* open queries are cancelled without a callback */

/* Asks for a name (no literals: address_from_host() knows them). on_done comes later, never before this returns,
 * unless resolve_cancel() came first. 0 or RESOLVE_NO_MEMORY. */
int resolve_start(struct resolver *resolver, const char *host, resolve_on_done *on_done, void *user,
                  struct resolve_query **ret_query) __attribute__((warn_unused_result));
void resolve_cancel(struct resolve_query *query); /* NULL is fine; not after on_done */
/* "ENOTFOUND", "EAI_AGAIN" */
const char *resolve_error_code(int error);
