/* Many idle tunnels: how fast they come, and what each costs to hold. */
#include "bench/holder.h"
#include "bench/modes.h"

#define SMOKE_COUNT   100
#define DEFAULT_COUNT 5000
/* Opened and closed before memory is looked at: what a process needs once isn't the tunnels'. */
#define WARM_UP_ROUNDS 2
/* Descriptors that aren't tunnels'. */
#define OTHER_FILES 64

static int warm_up(struct rig *rig, enum route route, int concurrency, bool resume)
{
    struct holder holder;
    if (holder_open(&holder, rig, route, WARM_UP_ROUNDS * concurrency, concurrency, resume) < 0) {
        return -1;
    }
    client_wait(&rig->client, 0.2);
    holder_close(&holder);
    client_wait(&rig->client, 0.3);
    return 0;
}

static void add_figures(struct rig *rig, struct report_row *row, enum route route,
                        const struct holder *holder, const struct used *used)
{
    row_add(row, route, METRIC_HANDSHAKES, holder->done / used->seconds);
    row_add_latency(row, route, &holder->duration);
    if (rig_relay(rig, route) && holder->done) {
        row_add(row, route, METRIC_CPU_HANDSHAKE, used->relay * 1e6 / holder->done);
    }
    row_add_used(row, route, used);
}

static void add_memory(struct rig *rig, struct report_row *row, enum route route,
                       const struct holder *holder, uint64_t memory, uint64_t slab)
{
    pid_t pid = rig_relay(rig, route);
    uint64_t now = process_memory(pid);
    if (!pid || !now || !holder->done) {
        return;
    }
    row_add(row, route, METRIC_MEMORY_EACH, ((double)now - (double)memory) / 1e3 / holder->done);
    row_add(row, route, METRIC_MEMORY, (double)now / 1e6);
    row_add(row, route, METRIC_SLAB_EACH,
            ((double)process_kernel_slab() - (double)slab) / 1e3 / holder->done);
}

static int measure(struct rig *rig, struct report *report, struct report_row *row, enum route route,
                   int count, int concurrency)
{
    char error[256];
    bool resume = rig->options->resume;
    /* A process that has held tunnels keeps memory: each round has its own. */
    if (rig_restart(rig, route, error, sizeof(error)) < 0) {
        fprintf(stderr, "streamplex bench: %s\n", error);
        return -1;
    }
    if (warm_up(rig, route, concurrency, resume) < 0) {
        return -1;
    }
    uint64_t memory = process_memory(rig_relay(rig, route)), slab = process_kernel_slab();
    struct holder holder;
    struct usage usage = rig_usage_begin(rig, route);
    if (holder_open(&holder, rig, route, count, concurrency, resume) < 0) {
        return -1;
    }
    struct used used = rig_usage_end(rig, route, &usage);
    client_wait(&rig->client, rig->options->smoke ? 0.2 : 1);
    add_figures(rig, row, route, &holder, &used);
    add_memory(rig, row, route, &holder, memory, slab);
    const char *name = route_names[route];
    report_check(report, holder.failed == 0 && holder.done == count,
                 "%s, %s: %d of %d were opened, the first failure: %s", row->title, name,
                 holder.done, count, holder.error);
    report_check(report, holder.lost == 0, "%s, %s: %d were lost while held", row->title, name,
                 holder.lost);
    report_check(report, holder.resumed == (resume ? holder.done : 0),
                 "%s, %s: %d of %d were resumed", row->title, name, holder.resumed, holder.done);
    holder_close(&holder);
    client_wait(&rig->client, rig->options->smoke ? 0.2 : 1);
    return 0;
}

int mode_tunnels(struct rig *rig, struct report *report)
{
    const struct bench_options *options = rig->options;
    int count = options->count ? (int)options->count : options->smoke ? SMOKE_COUNT : DEFAULT_COUNT;
    int concurrency = options->concurrency ? (int)options->concurrency : 16;
    int most = (int)process_max_files() - OTHER_FILES;
    if (count > most) {
        report_note(report, "%d tunnels instead of %d: a process may have %d descriptors", most,
                    count, (int)process_max_files());
        count = most;
    }
    struct report_row *row = report_row(report, "%d tunnels, %d at once, %s handshakes", count,
                                        concurrency, options->resume ? "resumed" : "full");
    uint64_t rounds = options->smoke ? 1 : options->rounds;
    for (uint64_t round = 0; round < rounds; round++) {
        for (int route = 0; route <= ROUTE_HOP; route++) {
            if (!rig_has_route(rig, (enum route)route)) {
                continue;
            }
            rig_progress("round %d of %d: %s, %s", (int)round + 1, (int)rounds, row->title,
                         route_names[route]);
            if (measure(rig, report, row, (enum route)route, count, concurrency) < 0) {
                return -1;
            }
        }
    }
    report_note(
        report,
        "hop: no target is dialled; a handshake and a byte sent back, which is what OpenSSL "
        "costs alone");
    return 0;
}
