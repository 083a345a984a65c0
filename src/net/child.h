/* A child process with bytes for its standard input, whose standard output is gathered. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "net/loop.h"

struct child;

/* output: at most CHILD_OUTPUT_MAX bytes, not NUL-terminated. status: exit status, or -1 when it
 * could not be started, was killed, ran over its time, or wrote too much. Comes once; the child is
 * gone then. */
typedef void child_on_exit(void *user, int status, const char *output, size_t length);

#define CHILD_OUTPUT_MAX 4096

/* argv ends in NULL; argv[0] is looked for in PATH. stderr is the process's own. timeout:
 * microseconds, then SIGKILL. Descriptors of the process aren't inherited. 0 or a negative errno;
 * on_exit never comes before this returns. */
int child_start(struct loop *loop, char *const *argv, const void *input, size_t input_length,
                uint64_t timeout, child_on_exit *on_exit, void *user, struct child **ret_child)
    __attribute__((warn_unused_result));
void child_kill(struct child *child); /* no on_exit any more */
