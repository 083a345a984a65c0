/* Questions to DNS servers: one c-ares channel on the loop, made from one state of resolv.conf.
 *
 * For resolve.c alone. A channel must not be freed from within an answer's callback: it runs inside
 * of c-ares. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/loop.h"
#include "net/resolve.h"

struct resolve_channel;

/* error: RESOLVE_OK, RESOLVE_NOT_FOUND (no such name, or no address of this family), RESOLVE_AGAIN,
 * RESOLVE_NO_MEMORY. ttl: seconds. addresses are borrowed until return. */
typedef void resolve_channel_on_answer(void *user, int error, const union address *addresses,
                                       size_t count, uint32_t ttl);

/* 0 or RESOLVE_NO_MEMORY. A resolv.conf that can't be read means a server on this machine, as
 * everywhere. */
int resolve_channel_new(struct loop *loop, const struct resolver_options *options,
                        struct resolve_channel **ret_channel) __attribute__((warn_unused_result));
/* Open questions are dropped without a callback. NULL is fine. */
void resolve_channel_free(struct resolve_channel *channel);

/* One question for the addresses of one family (AF_INET, AF_INET6) of a name, taken as it is.
 * on_answer comes once, perhaps before this returns. */
void resolve_channel_ask(struct resolve_channel *channel, const char *name, int family,
                         resolve_channel_on_answer *on_answer, void *user);
/* No question is open. */
bool resolve_channel_is_idle(const struct resolve_channel *channel);

/* What resolv.conf says of searching: the domains, and from how many dots on a name is first tried
 * as it is. */
size_t resolve_channel_domains(const struct resolve_channel *channel, char *const **ret_domains);
unsigned resolve_channel_ndots(const struct resolve_channel *channel);
