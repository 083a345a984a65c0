/* A child process with bytes for its standard input, whose standard output is gathered.
 *
 * It is over when it has exited and its standard output has ended. A grandchild may hold that open
 * for ever: what it writes more than CHILD_DRAIN after the exit is nobody's. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "net/loop.h"

struct child;

/* output: at most CHILD_OUTPUT_MAX bytes, not NUL-terminated; borrowed until return. status: exit
 * status, or -1 when it was killed, ran over its time, or wrote too much; output is empty then.
 * Comes once; the child is gone then. */
typedef void child_on_exit(void *user, int status, const char *output, size_t length);

#define CHILD_OUTPUT_MAX 4096
#define CHILD_DRAIN      100000 /* microseconds */

/* argv ends in NULL; argv[0] is looked for in PATH. stderr is the process's own. It leads a session
 * of its own, so that a signal of the terminal isn't for it. timeout: microseconds, then SIGKILL to
 * its process group; 0: none. Other descriptors of the process aren't inherited. input is copied,
 * and wiped at the end; a child that doesn't read it is no error. 0 or a negative errno (-ENOENT:
 * no such program); on_exit never comes before this returns. */
int child_start(struct loop *loop, char *const *argv, const void *input, size_t input_length,
                uint64_t timeout, child_on_exit *on_exit, void *user, struct child **ret_child)
    __attribute__((warn_unused_result));
void child_kill(
    struct child *child); /* SIGKILL; no on_exit any more. NULL is fine; not after on_exit */
