/* The table of a hosts file (hosts(5)), read again when the file changes.
 *
 * It is read with blocking calls: a small local file, and only after a stat(2) says that it is
 * another one. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/address.h"

struct hosts;

/* path is copied; a file that isn't there is an empty table. recheck: microseconds between two
 * looks at the file. NULL without memory. */
struct hosts *hosts_new(const char *path, uint64_t recheck);
void hosts_free(struct hosts *hosts); /* NULL is fine */

/* The addresses of a lower-case name without a dot at its end, in the file's order, port 0; their
 * count, at most RESOLVE_ADDRESSES_MAX. *ret_addresses holds until the next hosts_find(). now:
 * microseconds, monotonic. */
size_t hosts_find(struct hosts *hosts, const char *name, uint64_t now,
                  const union address **ret_addresses);
