/* Growth: what one tunnel and one substream get when many others are there, idle, and what those
 * cost. */
#include <stdlib.h>

#include "bench/bulk.h"
#include "bench/client_tunnel.h"
#include "bench/holder.h"
#include "bench/modes.h"
#include "bench/opener.h"
#include "bench/pinger.h"

#define LEVELS 3
#define OPENS  64 /* under way at once */
#define OTHER_FILES                                                                                \
    300 /* of server and bench beside those that are held: opens under way and the like */

struct level {
    int count;
    bool tunnels;
    struct report_row *row;
};

/* Substreams that are open and idle, on one tunnel. */
struct idle {
    struct lane lane;
    struct idle_crowd *crowd;
};

struct idle_crowd {
    struct rig *rig;
    struct client_tunnel *tunnel;
    struct idle *idles;
    int count, begun, connected, lost;
};

static void open_idles(struct idle_crowd *crowd);

static void on_idle_connected(struct lane *lane)
{
    struct idle_crowd *crowd = ((struct idle *)lane)->crowd;
    crowd->connected++;
    open_idles(crowd);
}

static void on_idle_data(struct lane *lane, const uint8_t *bytes, size_t length)
{
    (void)lane; /* nothing was sent, so nothing comes */
    (void)bytes;
    (void)length;
}

static void on_idle_closed(struct lane *lane, const char *error)
{
    struct idle_crowd *crowd = ((struct idle *)lane)->crowd;
    (void)error;
    crowd->lost++;
    client_wake(lane->client);
}

static const struct lane_callbacks idle_callbacks = {
    .on_connected = on_idle_connected, .on_data = on_idle_data, .on_closed = on_idle_closed};

static void open_idles(struct idle_crowd *crowd)
{
    struct client *client = &crowd->rig->client;
    while (crowd->begun < crowd->count && crowd->begun - crowd->connected < OPENS) {
        struct idle *idle = &crowd->idles[crowd->begun++];
        idle->crowd = crowd;
        if (lane_open(&idle->lane, client, ROUTE_SERVER, crowd->tunnel, TARGET_ECHO, false,
                      &idle_callbacks) < 0) {
            crowd->lost++;
        }
    }
    if (crowd->connected + crowd->lost >= crowd->count) {
        client_wake(client);
    }
}

static int hold_substreams(struct idle_crowd *crowd, struct report *report)
{
    crowd->idles = calloc((size_t)crowd->count + 1, sizeof(*crowd->idles));
    if (!crowd->idles) {
        return -1;
    }
    open_idles(crowd);
    if (crowd->connected < crowd->count) {
        client_wait(&crowd->rig->client, 60);
    }
    report_check(report, crowd->connected == crowd->count && crowd->lost == 0,
                 "%d of %d idle substreams were connected, %d were lost", crowd->connected,
                 crowd->count, crowd->lost);
    return 0;
}

static void release_substreams(struct idle_crowd *crowd)
{
    for (int i = 0; crowd->idles && i < crowd->begun; i++) {
        lane_abort(&crowd->idles[i].lane);
    }
    free(crowd->idles);
    crowd->idles = NULL;
}

static int measure_rate(struct rig *rig, struct client_tunnel *tunnel, struct report_row *row)
{
    struct bulk_plan plan = {.rig = rig,
                             .route = ROUTE_SERVER,
                             .tunnel = tunnel,
                             .up = 1,
                             .warm_up = 0.3,
                             .seconds = mode_seconds(rig, rig->options->smoke ? 0.2 : 1)};
    struct bulk_result result;
    if (bulk_measure(&plan, &result) < 0) {
        return -1;
    }
    row_add(row, ROUTE_SERVER, METRIC_RATE, result.up);
    if (rig->server_pid && result.up > 0) {
        row_add(row, ROUTE_SERVER, METRIC_CPU_MB,
                result.used.relay * 1e6 / (result.up * result.used.seconds));
    }
    return 0;
}

static int measure_opens(struct rig *rig, struct client_tunnel *tunnel, struct report *report,
                         struct report_row *row)
{
    struct open_plan plan = {.rig = rig,
                             .route = ROUTE_SERVER,
                             .tunnel = tunnel,
                             .concurrency = OPENS,
                             .warm_up = 0.2,
                             .seconds = mode_seconds(rig, rig->options->smoke ? 0.2 : 1)};
    struct open_result result;
    if (open_measure(&plan, &result) < 0) {
        return -1;
    }
    report_check(report, result.failed == 0, "%s: %llu opens failed: %s", row->title,
                 (unsigned long long)result.failed, result.error);
    row_add(row, ROUTE_SERVER, METRIC_OPENS, (double)result.opens / result.used.seconds);
    if (rig->server_pid && result.opens) {
        row_add(row, ROUTE_SERVER, METRIC_CPU_OPEN, result.used.relay * 1e6 / (double)result.opens);
    }
    return 0;
}

static int measure_pings(struct rig *rig, struct client_tunnel *tunnel, struct report *report,
                         struct report_row *row)
{
    struct histogram *histogram = calloc(1, sizeof(*histogram));
    struct pinger pinger = {0};
    if (!histogram || pinger_open(&pinger, &rig->client, ROUTE_SERVER, tunnel) < 0) {
        free(histogram);
        return -1;
    }
    client_wait(&rig->client, 0.2);
    histogram_init(histogram);
    pinger.histogram = histogram;
    client_wait(&rig->client, mode_seconds(rig, rig->options->smoke ? 0.2 : 1));
    report_check(report, !pinger.over && pinger.wrong == 0 && histogram->count > 0,
                 "%s: pings broken: %s", row->title, pinger.error ? pinger.error : "no answer");
    row_add_latency(row, ROUTE_SERVER, histogram);
    pinger_close(&pinger);
    free(histogram);
    return 0;
}

static void add_memory(struct rig *rig, const struct level *level, uint64_t before)
{
    uint64_t now = process_memory(rig->server_pid);
    if (rig->server_pid && now && level->count > 1) {
        row_add(level->row, ROUTE_SERVER, METRIC_MEMORY_EACH,
                ((double)now - (double)before) / 1e3 / level->count);
    }
    if (rig->server_pid && now) {
        row_add(level->row, ROUTE_SERVER, METRIC_MEMORY, (double)now / 1e6);
    }
}

/* Everything is measured on `tunnel`, beside what is held. */
static int measure_beside(struct rig *rig, struct report *report, const struct level *level,
                          struct client_tunnel *tunnel)
{
    if (measure_rate(rig, tunnel, level->row) < 0 ||
        measure_opens(rig, tunnel, report, level->row) < 0 ||
        measure_pings(rig, tunnel, report, level->row) < 0) {
        return -1;
    }
    return 0;
}

static int measure(struct rig *rig, struct report *report, const struct level *level)
{
    char error[256];
    struct client_tunnel tunnel = {0};
    struct holder holder = {0};
    struct idle_crowd crowd = {.rig = rig, .tunnel = &tunnel, .count = level->count - 1};
    if (rig_restart(rig, ROUTE_SERVER, error, sizeof(error)) < 0) {
        fprintf(stderr, "streamplex bench: %s\n", error);
        return -1;
    }
    if (mode_open_tunnel(rig, ROUTE_SERVER, &tunnel) < 0) {
        return -1;
    }
    client_wait(&rig->client, 0.1);
    uint64_t before = process_memory(rig->server_pid);
    int failed = level->tunnels
                     ? holder_open(&holder, rig, ROUTE_SERVER, level->count - 1, 16, false)
                     : hold_substreams(&crowd, report);
    if (!failed) {
        client_wait(&rig->client, 0.3);
        add_memory(rig, level, before);
        rig->held = (uint64_t)crowd.connected;
        failed = measure_beside(rig, report, level, &tunnel);
        report_check(report, holder.failed == 0 && holder.lost == 0 && crowd.lost == 0,
                     "%s: %d failed and %d were lost: %s", level->row->title, holder.failed,
                     holder.lost + crowd.lost, holder.error);
    }
    rig->held = 0;
    release_substreams(&crowd);
    holder_close(&holder);
    client_tunnel_close(&tunnel);
    rig_settle(rig);
    return failed;
}

int mode_growth(struct rig *rig, struct report *report)
{
    const struct bench_options *options = rig->options;
    static const int substreams[LEVELS] = {1, 100, 10000}, tunnels[LEVELS] = {1, 1000, 19000};
    static const int few[LEVELS] = {1, 10, 100};
    int most = (int)process_max_files() - OTHER_FILES;
    most = options->count && (int)options->count < most ? (int)options->count : most;
    struct level levels[2 * LEVELS];
    for (int i = 0; i < 2 * LEVELS; i++) {
        bool is_tunnel = i >= LEVELS;
        int wanted =
            options->smoke ? few[i % LEVELS] : (is_tunnel ? tunnels : substreams)[i % LEVELS];
        int count = wanted < most ? wanted : most;
        levels[i] = (struct level){
            .count = count,
            .tunnels = is_tunnel,
            .row = report_row(report, "%d %s%s", count, is_tunnel ? "tunnel" : "substream",
                              count == 1 ? "" : "s"),
        };
        levels[i].row->at = count;
        levels[i].row->group = is_tunnel ? "tunnels" : "substreams";
    }
    uint64_t rounds = options->smoke ? 1 : options->rounds;
    for (uint64_t round = 0; round < rounds; round++) {
        for (int i = 0; i < 2 * LEVELS; i++) {
            rig_progress("round %d of %d: %s", (int)round + 1, (int)rounds, levels[i].row->title);
            if (measure(rig, report, &levels[i]) < 0) {
                return -1;
            }
        }
    }
    report_note(report,
                "one tunnel works (a bulk upload, then %d opens at once, then round trips) "
                "and the others are idle",
                OPENS);
    return 0;
}
