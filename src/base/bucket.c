#include "base/bucket.h"

#define SECOND UINT64_C(1000000000)

uint64_t bucket_take(struct bucket *bucket, uint32_t rate, uint64_t now)
{
    uint64_t each = rate < SECOND ? SECOND / rate : 1;
    uint64_t depth = each * (rate > BUCKET_BURST_MIN ? rate : BUCKET_BURST_MIN);
    uint64_t at = now * 1000, next;
    uint64_t full_at = atomic_load_explicit(&bucket->full_at, memory_order_relaxed);
    do {
        next = (full_at > at ? full_at : at) + each;
        if (next - at > depth)
            return (next - at - depth + 999) / 1000;
    } while (!atomic_compare_exchange_weak_explicit(&bucket->full_at, &full_at, next,
                                                    memory_order_relaxed, memory_order_relaxed));
    return 0;
}
