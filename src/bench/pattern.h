/* The bytes that the bench sends: each depends on its position and on the stream's seed, and making
 * or checking them costs no more than a memcpy or a memcmp, so that the same bytes serve measuring
 * and proving.
 *
 * They repeat after PATTERN_PERIOD bytes, a prime: what is lost, doubled or moved by whole frames,
 * records or buffers shows. A loss of whole periods shows in the counts, which are compared too. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define PATTERN_PERIOD 65521
#define PATTERN_CHUNK  65536 /* bytes that may be taken at once */

void pattern_init(void); /* once a process, before the others */
/* The bytes from `offset` on of the stream with this seed; PATTERN_CHUNK of them, static. */
const uint8_t *pattern_at(uint64_t seed, uint64_t offset);
/* How many of `length` bytes that came from `offset` on are wrong. */
size_t pattern_mismatches(uint64_t seed, uint64_t offset, const void *bytes, size_t length);
