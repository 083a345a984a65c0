/* How long services take to answer, for the log of visits: from the first byte that a service is
 * sent after its last answer to its first byte back. By tunnel and substream, for those that are
 * open, and a while for those that are over: the visit's record comes after its substream's end. */
#pragma once

#include <stdint.h>

#define SERVICE_TIMES_BUCKETS 1024    /* ten open substreams each, with 10,000 visitors */
#define SERVICE_TIMES_KEPT    1024    /* of those that are over: records waiting on one tunnel */
#define SERVICE_TIMES_AGE     5000000 /* microseconds that they are kept */

/* One substream's; embed it. Times of one clock, microseconds. */
struct service_time {
    struct service_time *next, *previous; /* in its bucket */
    uint64_t tunnel;                      /* a number that no other tunnel had */
    uint16_t substream;
    uint64_t asked_at; /* 0: the service isn't waited for */
    uint64_t taken;    /* by the last answer; 0: none came */
};

struct service_times {
    struct service_time *buckets[SERVICE_TIMES_BUCKETS];
    struct service_time_kept {
        uint64_t tunnel, taken, ended_at;
        uint16_t substream;
    } kept[SERVICE_TIMES_KEPT]; /* a ring */
    unsigned next_kept;
};

/* A zeroed struct is empty. */
void service_times_add(struct service_times *times, struct service_time *time, uint64_t tunnel,
                       uint16_t substream);
void service_times_end(struct service_times *times, struct service_time *time, uint64_t now);
void service_time_asked(struct service_time *time, uint64_t now);
void service_time_answered(struct service_time *time, uint64_t now);
/* Microseconds; 0: not known. */
uint64_t service_times_find(const struct service_times *times, uint64_t tunnel, uint16_t substream,
                            uint64_t now);
