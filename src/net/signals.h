/* Signals as callbacks of a loop. SIGPIPE and SIGXFSZ are ignored from loop_new()
 * on. */
#pragma once

#include "net/loop.h"

struct signals;

/* Up to 8 signal numbers. 0 or a negative errno. */
int signals_open(struct loop *loop, const int *numbers, int count,
                 void (*on_signal)(int number, void *user), void *user,
                 struct signals **ret_signals) __attribute__((warn_unused_result));
void signals_close(struct signals *signals); /* NULL is fine */
