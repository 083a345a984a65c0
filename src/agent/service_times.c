#include "agent/service_times.h"

#include <stddef.h>

/* Servers open odd ids. */
static struct service_time **bucket_of(struct service_times *times, uint64_t tunnel,
                                       uint16_t substream)
{
    return &times->buckets[(tunnel * 31 + substream / 2) % SERVICE_TIMES_BUCKETS];
}

void service_times_add(struct service_times *times, struct service_time *time, uint64_t tunnel,
                       uint16_t substream)
{
    struct service_time **bucket = bucket_of(times, tunnel, substream);

    *time = (struct service_time){.next = *bucket, .tunnel = tunnel, .substream = substream};
    if (time->next)
        time->next->previous = time;
    *bucket = time;
}

void service_times_end(struct service_times *times, struct service_time *time, uint64_t now)
{
    if (time->next)
        time->next->previous = time->previous;
    if (time->previous)
        time->previous->next = time->next;
    else
        *bucket_of(times, time->tunnel, time->substream) = time->next;
    if (!time->taken)
        return;
    times->kept[times->next_kept] = (struct service_time_kept){
        .tunnel = time->tunnel,
        .taken = time->taken,
        .ended_at = now,
        .substream = time->substream,
    };
    times->next_kept = (times->next_kept + 1) % SERVICE_TIMES_KEPT;
}

void service_time_asked(struct service_time *time, uint64_t now)
{
    if (!time->asked_at)
        time->asked_at = now;
}

void service_time_answered(struct service_time *time, uint64_t now)
{
    if (!time->asked_at)
        return;
    /* 0 says that nothing is known. */
    time->taken = now > time->asked_at ? now - time->asked_at : 1;
    time->asked_at = 0;
}

uint64_t service_times_find(const struct service_times *times, uint64_t tunnel, uint16_t substream,
                            uint64_t now)
{
    const struct service_time *open = *bucket_of((struct service_times *)times, tunnel, substream);

    for (; open; open = open->next)
        if (open->tunnel == tunnel && open->substream == substream && open->taken)
            return open->taken;
    for (unsigned i = 1; i <= SERVICE_TIMES_KEPT; i++) {
        unsigned newest = (times->next_kept + SERVICE_TIMES_KEPT - i) % SERVICE_TIMES_KEPT;
        const struct service_time_kept *kept = &times->kept[newest];
        if (!kept->taken || kept->ended_at + SERVICE_TIMES_AGE < now)
            return 0;
        if (kept->tunnel == tunnel && kept->substream == substream)
            return kept->taken;
    }
    return 0;
}
