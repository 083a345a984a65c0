/* Conditional requests and ranges (RFC 9110 13, 14), judged for one version of a file. */
#pragma once

#include <stdint.h>
#include <time.h>

#include "edge/http_head.h"

struct files_version {
    uint64_t size;
    time_t modified;
    char tag[64]; /* strong, with its quotes */
};

/* The status of the answer: 200, 206, 304, 412 or 416. With 206 *ret_first and *ret_last are the
 * part's ends, else they don't change. Several ranges in one request are answered by all (200). */
int files_condition_judge(const struct http_head *head, bool is_head,
                          const struct files_version *version, uint64_t *ret_first,
                          uint64_t *ret_last);
