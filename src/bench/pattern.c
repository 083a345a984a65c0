#include "bench/pattern.h"

#include <string.h>

static uint8_t block[PATTERN_PERIOD + PATTERN_CHUNK];

void pattern_init(void)
{
    uint64_t state = 0x9e3779b97f4a7c15u;
    for (size_t i = 0; i < PATTERN_PERIOD; i++) {
        /* xorshift: any generator does that doesn't repeat within the period */
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        block[i] = (uint8_t)(state >> 32);
    }
    for (size_t i = PATTERN_PERIOD; i < sizeof(block); i++) {
        block[i] = block[i - PATTERN_PERIOD];
    }
}

const uint8_t *pattern_at(uint64_t seed, uint64_t offset)
{
    /* Reduced one by one: the sum could wrap, and 2^64 isn't a multiple of the period. */
    return block + (seed % PATTERN_PERIOD + offset % PATTERN_PERIOD) % PATTERN_PERIOD;
}

size_t pattern_mismatches(uint64_t seed, uint64_t offset, const void *bytes, size_t length)
{
    const uint8_t *at = bytes;
    size_t wrong = 0;
    while (length > 0) {
        size_t chunk = length < PATTERN_CHUNK ? length : PATTERN_CHUNK;
        const uint8_t *expected = pattern_at(seed, offset);
        if (memcmp(at, expected, chunk) != 0) {
            for (size_t i = 0; i < chunk; i++) {
                wrong += at[i] != expected[i];
            }
        }
        at += chunk;
        offset += chunk;
        length -= chunk;
    }
    return wrong;
}
