/* Tells when this machine's network changes: a link comes up, an address is there. For those who
 * wait to try again, and for those who want to know whether what they have still stands.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "net/loop.h"

struct network_watch;

/* on_change comes once a turn however much was told in it; also when the kernel dropped some of it.
 * 0 or a negative errno (-EPERM and such where netlink isn't allowed: then nothing is told, and
 * waiting is all that is left). */
int network_watch_open(struct loop *loop, void (*on_change)(void *user), void *user,
                       struct network_watch **ret_watch) __attribute__((warn_unused_result));
void network_watch_close(struct network_watch *watch); /* NULL is fine */

/* Does this batch of rtnetlink messages tell of a network that has come: a link that runs, or an
 * address? For the tests; links and addresses that go are no reason to try again. */
bool network_watch_is_news(const void *messages, size_t length);
