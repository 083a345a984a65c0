/* The edge: what visitors get from a service on a device, against sshd with `ssh -R`, and nginx. */
#include <stdio.h>

#include "bench/edge_parts.h"
#include "bench/modes.h"

/* Descriptors that are neither visitors' nor tunnels'. */
#define OTHER_FILES 512

static const struct part {
    const char *name; /* of --what */
    int (*measure)(struct edge_rig *edge);
} parts[] = {
    {"bulk", edge_bulk}, {"visits", edge_visits},   {"beside", edge_beside},
    {"http", edge_http}, {"https", edge_https},     {"first-byte", edge_first_byte},
    {"idle", edge_idle}, {"sockets", edge_sockets}, {"return", edge_return},
};

void edge_progress(const struct report_row *row, enum route route)
{
    rig_progress("%s, %s", row->title, route_names[route]);
}

int edge_complain(const char *error)
{
    rig_progress(NULL);
    fprintf(stderr, "streamplex bench: %s\n", error);
    return -1;
}

int edge_count(struct edge_rig *edge, int most, int few)
{
    const struct bench_options *options = edge->rig->options;
    int limit = (int)process_max_files() - OTHER_FILES;
    /* The delay line has two for each of what passes it. */
    limit = options->rtt_ms ? limit / 2 : limit;
    int count = options->smoke ? few : most;
    count = options->count && (int)options->count < count ? (int)options->count : count;
    if (count > limit) {
        report_note_once(edge->report, "%d instead of %d: a process may have %d descriptors", limit,
                         count, (int)process_max_files());
        count = limit;
    }
    return count;
}

static void note_ways(struct report *report)
{
    report_note(report, "no process is pinned: visitors, server (or sshd, nginx), agent (or ssh) "
                        "and service share the cores as the kernel likes, on every route");
    report_note(report, "CPU per MB, visit, request is the server's, that of sshd's processes, or "
                        "nginx's; not the device's");
}

int mode_edge(struct rig *rig, struct report *report)
{
    const struct bench_options *options = rig->options;
    char error[512];
    struct edge_rig edge;
    int failed = edge_rig_start(&edge, rig, report, error, sizeof(error));
    if (failed) {
        edge_complain(error);
    }
    uint64_t rounds = options->smoke ? 1 : options->rounds;
    for (uint64_t round = 0; !failed && round < rounds; round++) {
        for (size_t i = 0; !failed && i < sizeof(parts) / sizeof(parts[0]); i++) {
            if (!options->what || options_has_word(options->what, parts[i].name)) {
                failed = parts[i].measure(&edge);
            }
        }
    }
    note_ways(report);
    edge_rig_stop(&edge);
    return failed;
}
