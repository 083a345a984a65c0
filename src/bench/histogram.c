#include "bench/histogram.h"

#include <string.h>

#define SUB_COUNT (1u << HISTOGRAM_SUB_BITS)

void histogram_init(struct histogram *histogram)
{
    memset(histogram, 0, sizeof(*histogram));
    histogram->least = UINT64_MAX;
}

/* Values under SUB_COUNT have a slot each; then every power of two has SUB_COUNT slots of equal
 * width. */
static unsigned slot_of(uint64_t value)
{
    if (value < SUB_COUNT) {
        return (unsigned)value;
    }
    if (value >> HISTOGRAM_TOP_BITS) {
        return HISTOGRAM_SLOTS - 1;
    }
    unsigned top = 63 - (unsigned)__builtin_clzll(value);
    unsigned shift = top - HISTOGRAM_SUB_BITS;
    unsigned sub = (unsigned)(value >> shift) & (SUB_COUNT - 1);
    return ((shift + 1) << HISTOGRAM_SUB_BITS) + sub;
}

uint64_t histogram_slot_end(unsigned slot)
{
    if (slot < SUB_COUNT) {
        return slot;
    }
    unsigned shift = (slot >> HISTOGRAM_SUB_BITS) - 1;
    uint64_t base = SUB_COUNT + (slot & (SUB_COUNT - 1));
    return ((base + 1) << shift) - 1;
}

void histogram_add(struct histogram *histogram, uint64_t nanoseconds)
{
    histogram->count++;
    histogram->sum += (double)nanoseconds;
    if (nanoseconds < histogram->least) {
        histogram->least = nanoseconds;
    }
    if (nanoseconds > histogram->most) {
        histogram->most = nanoseconds;
    }
    histogram->slots[slot_of(nanoseconds)]++;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
    into->count += from->count;
    into->sum += from->sum;
    if (from->least < into->least) {
        into->least = from->least;
    }
    if (from->most > into->most) {
        into->most = from->most;
    }
    for (unsigned i = 0; i < HISTOGRAM_SLOTS; i++) {
        into->slots[i] += from->slots[i];
    }
}

uint64_t histogram_percentile(const struct histogram *histogram, double percent)
{
    if (histogram->count == 0) {
        return 0;
    }
    double exact = percent / 100.0 * (double)histogram->count;
    uint64_t wanted = (uint64_t)exact;
    if ((double)wanted < exact) {
        wanted++;
    }
    if (wanted == 0) {
        return histogram->least;
    }
    uint64_t seen = 0;
    for (unsigned i = 0; i < HISTOGRAM_SLOTS; i++) {
        seen += histogram->slots[i];
        if (seen >= wanted) {
            /* The last slot has no upper end of its own: it also holds what was too long. */
            uint64_t end = i == HISTOGRAM_SLOTS - 1 ? histogram->most : histogram_slot_end(i);
            return end < histogram->most ? end : histogram->most;
        }
    }
    return histogram->most;
}

double histogram_mean(const struct histogram *histogram)
{
    return histogram->count ? histogram->sum / (double)histogram->count : 0;
}
