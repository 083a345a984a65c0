/* A histogram of durations: log-linear, so that any percentile is within 0.8 % of the truth
 * whatever its size, in a fixed 38 KiB. */
#pragma once

#include <stdint.h>

/* 128 slots to each power of two, up to 2^42 ns (73 minutes); longer values count as the longest.
 */
#define HISTOGRAM_SUB_BITS 7
#define HISTOGRAM_TOP_BITS 42
#define HISTOGRAM_SLOTS    ((HISTOGRAM_TOP_BITS - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS)

struct histogram {
    uint64_t count;
    uint64_t least, most;
    double sum;
    uint64_t slots[HISTOGRAM_SLOTS];
};

void histogram_init(struct histogram *histogram);
void histogram_add(struct histogram *histogram, uint64_t nanoseconds);
void histogram_merge(struct histogram *into, const struct histogram *from);
/* The least value that `percent` (0...100) of the values don't exceed, rounded up to its slot's end
 * but never over the largest value seen; 0 when empty. */
uint64_t histogram_percentile(const struct histogram *histogram, double percent);
double histogram_mean(const struct histogram *histogram); /* 0 when empty */
/* The largest value that falls into the slot. */
uint64_t histogram_slot_end(unsigned slot);
