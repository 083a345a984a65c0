/* How busy a socket is: what its limits are measured by. One for each socket, shared by all
 * threads, and by the socket's facts as they change. */
#pragma once

#include <stdatomic.h>

#include "base/bucket.h"

struct socket_load {
    atomic_int references;
    atomic_uint visitors;   /* connections of visitors here now; relaxed */
    struct bucket requests; /* of all its visitors */
};

/* With one reference. NULL: no memory. */
struct socket_load *socket_load_new(void) __attribute__((warn_unused_result));
struct socket_load *socket_load_ref(struct socket_load *load);
void socket_load_unref(struct socket_load *load); /* NULL is fine */
