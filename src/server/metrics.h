/* The text that /metrics answers: the counters of all workers, summed, and some facts of the
 * process, in the Prometheus text format 0.0.4. */
#pragma once

#include <stddef.h>

#include "server/counters.h"

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Malloced; NULL without memory. */
char *metrics_text(struct counters *const *counters, size_t count, size_t *ret_length)
    __attribute__((warn_unused_result));
