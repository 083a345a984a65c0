/* Token buckets of visitors, by socket and address: one table for all sockets and threads, without
 * a lock and of a fixed size. A bucket that is full again is as good as none, and its place is
 * free; when there is no free place, the fullest bucket makes way. */
#pragma once

#include <stdint.h>

#include "base/address.h"

struct rate_table;

/* 0 or a negative errno. */
int rate_table_new(struct rate_table **ret_table) __attribute__((warn_unused_result));
void rate_table_free(struct rate_table *table); /* NULL is fine */
/* Takes a token of this visitor's (IPv6: of its /64's) at this socket. As bucket_take(). */
uint64_t rate_table_take(struct rate_table *table, uint64_t socket, const union address *visitor,
                         uint32_t rate, uint64_t now) __attribute__((warn_unused_result));
