/* Readiness of a descriptor that a library owns: c-ares and libcurl open and close their sockets
 * themselves and only want to be told. */
#pragma once

#include <stdbool.h>

#include "net/loop.h"

struct poll;

/* After an error both are true: the library finds out by itself what happened. */
typedef void poll_on_ready(void *user, int fd, bool readable, bool writable);

/* fd stays the library's, and must stay open until poll_close(). 0 or a negative errno. */
int poll_open(struct loop *loop, int fd, poll_on_ready *on_ready, void *user,
              struct poll **ret_poll) __attribute__((warn_unused_result));
/* What to tell from now on (level-triggered). Neither: nothing, for the time being. */
void poll_want(struct poll *poll, bool readable, bool writable);
/* No callback any more; the descriptor may be closed right after. NULL is fine. */
void poll_close(struct poll *poll);
