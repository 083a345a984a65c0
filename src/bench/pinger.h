/* Pings: one byte to the echo and back, timed; one after another, or one each so many milliseconds.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "bench/histogram.h"
#include "bench/lane.h"
#include "net/timer.h"

struct pinger {
    struct lane lane;            /* first */
    struct histogram *histogram; /* where round trips go; NULL: nowhere, for now */
    struct histogram *own;       /* this one's alone; NULL: not kept */
    uint64_t interval; /* microseconds from ping to ping; 0: as soon as the last came back */
    struct timer timer;
    uint64_t sent_at; /* ns; of the ping under way */
    bool waiting, due;
    bool counted; /* the one under way already, by pinger_count_waiting() */
    uint8_t byte;
    uint64_t wrong;
    uint64_t count;
    uint64_t limit; /* pings; at the last the client is woken; 0: no limit */
    bool over;
    const char *error;
};

/* Fill in histogram, interval and limit before. 0 or -1. */
int pinger_open(struct pinger *pinger, struct client *client, enum route route,
                struct client_tunnel *tunnel) __attribute__((warn_unused_result));
void pinger_close(struct pinger *pinger);
/* A ping that still waits counts with the time it has waited, or the longest waits would be left
 * out. */
void pinger_count_waiting(struct pinger *pinger);
