#include "bench/crowd.h"

#include <stdlib.h>
#include <string.h>

int crowd_open(struct crowd *crowd, struct rig *rig, int count, struct client_tunnel *tunnels,
               int tunnel_count, uint64_t interval)
{
    memset(crowd, 0, sizeof(*crowd));
    crowd->rig = rig;
    crowd->count = count;
    crowd->pingers = calloc((size_t)count, sizeof(*crowd->pingers));
    crowd->own = calloc((size_t)count, sizeof(*crowd->own));
    if (!crowd->pingers || !crowd->own) {
        return -1;
    }
    for (int i = 0; i < count; i++) {
        crowd->pingers[i].interval = interval;
        if (pinger_open(&crowd->pingers[i], &rig->client, ROUTE_SERVER,
                        &tunnels[i % tunnel_count]) < 0) {
            return -1;
        }
        /* So that they don't all send at once, each begins a little after the last. */
        if (i % 10 == 9) {
            client_wait(&rig->client, 0.004);
        }
    }
    return 0;
}

void crowd_restart(struct crowd *crowd)
{
    histogram_init(&crowd->all);
    for (int i = 0; i < crowd->count; i++) {
        histogram_init(&crowd->own[i]);
        crowd->pingers[i].histogram = &crowd->all;
        crowd->pingers[i].own = &crowd->own[i];
    }
}

void crowd_report(struct crowd *crowd, struct report *report, struct report_row *row)
{
    uint64_t worst = 0;
    int silent = 0, broken = 0;
    const char *error = "wrong bytes";
    for (int i = 0; i < crowd->count; i++) {
        struct pinger *pinger = &crowd->pingers[i];
        silent += crowd->own[i].count == 0;
        if (pinger->over || pinger->wrong) {
            broken++;
            error = pinger->error ? pinger->error : error;
        }
        pinger_count_waiting(pinger);
        uint64_t median = histogram_percentile(&crowd->own[i], 50);
        worst = median > worst ? median : worst;
    }
    row_add_latency(row, ROUTE_SERVER, &crowd->all);
    row_add(row, ROUTE_SERVER, METRIC_WORST_MEDIAN, (double)worst / 1e3);
    report_check(report, broken == 0, "%s: %d of %d broke: %s", row->title, broken, crowd->count,
                 error);
    report_check(report, silent == 0, "%s: %d of %d got no answer at all", row->title, silent,
                 crowd->count);
}

void crowd_close(struct crowd *crowd)
{
    for (int i = 0; crowd->pingers && i < crowd->count; i++) {
        pinger_close(&crowd->pingers[i]);
    }
    free(crowd->pingers);
    free(crowd->own);
    memset(crowd, 0, sizeof(*crowd));
}
