#include "bench/bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/client_tunnel.h"
#include "bench/modes.h"
#include "bench/pattern.h"

static const struct mode {
    const char *name;
    int (*run)(struct rig *rig, struct report *report);
    bool edge;
} modes[] = {
    {"throughput", mode_throughput, false},
    {"open", mode_open, false},
    {"latency", mode_latency, false},
    {"tunnels", mode_tunnels, false},
    {"stall", mode_stall, false},
    {"rtt", mode_rtt, false},
    {"fairness", mode_fairness, false},
    {"growth", mode_growth, false},
    {"edge", mode_edge, true},
};

#define SERVER_ROUTES     "server,hop,plain"
#define EDGE_ROUTES       "edge,ssh,nginx,nginx+ssh,plain"
#define EDGE_SMOKE_ROUTES "edge,plain" /* what it is compared with needn't be there */

/* The processes that we start of ourselves. */
static const struct helper {
    const char *name;
    int (*run)(int argc, char **argv);
} helpers[] = {
    {"@targets", targets_main},
    {"@hop", hop_main},
    {"@delay", delay_relay_main},
    {"@web", web_service_main},
};

double mode_seconds(const struct rig *rig, double fallback)
{
    return rig->options->seconds ? (double)rig->options->seconds / 1e6 : fallback;
}

const char *mode_rate(const struct rig *rig)
{
    return rig->options->rate ? rig->options->rate : "1gbit";
}

int mode_open_tunnel(struct rig *rig, enum route route, struct client_tunnel *tunnel)
{
    return route == ROUTE_SERVER ? client_tunnel_open_now(tunnel, &rig->client) : 0;
}

static const struct mode *find_mode(const char *name)
{
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (strcmp(modes[i].name, name) == 0) {
            return &modes[i];
        }
    }
    return NULL;
}

static int write_reports(const struct bench_options *options, const struct report *report)
{
    if (options->json && report_write_json(report, options->json) < 0) {
        fprintf(stderr, "streamplex bench: --json %s: %s\n", options->json, strerror(errno));
        return -1;
    }
    if (options->html && report_write_html(report, options->html) < 0) {
        fprintf(stderr, "streamplex bench: --html %s: %s\n", options->html, strerror(errno));
        return -1;
    }
    return 0;
}

/* What a mode makes of the settings. 0, or -1 with a sentence. */
static int prepare(const struct mode *mode, struct bench_options *options, char *error,
                   size_t error_size)
{
    options->edge = mode->edge;
    options->known_routes = mode->edge ? EDGE_ROUTES : SERVER_ROUTES;
    if (options_check(options, error, error_size) < 0) {
        return -1;
    }
    if (mode->edge && options->smoke && !options->routes) {
        options->known_routes = EDGE_SMOKE_ROUTES;
    }
    return 0;
}

static int run(const struct mode *mode, const struct bench_options *options, int argc, char **argv)
{
    char error[512];
    struct rig rig;
    struct report report;
    pattern_init();
    report_init(&report, mode->name, argc, argv);
    int status = 2;
    if (rig_start(&rig, options, error, sizeof(error)) < 0) {
        fprintf(stderr, "streamplex bench: %s\n", error);
    } else {
        int failed = mode->run(&rig, &report);
        rig_progress(NULL);
        if (failed) {
            fprintf(stderr, "streamplex bench: the measurement broke off\n");
        }
        rig_stop_server(&rig);
        report_check(&report, rig.server_fault == 0, "the server ended with %d", rig.server_fault);
        report_print(&report, stdout);
        status = failed || write_reports(options, &report) < 0 ? 2 : report.failures ? 1 : 0;
    }
    rig_stop(&rig);
    report_deinit(&report);
    return status;
}

int bench_main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof(helpers) / sizeof(helpers[0]); i++) {
        if (strcmp(argv[1], helpers[i].name) == 0) {
            return helpers[i].run(argc - 1, argv + 1);
        }
    }
    if (settings_answer_help(&bench_table, argc, argv, stdout)) {
        return 0;
    }
    struct bench_options options = {0};
    char error[512], **arguments = NULL;
    int count = 0, status = 2;
    if (settings_read(&bench_table, argc, argv, &options, &arguments, &count, error,
                      sizeof(error)) < 0) {
        fprintf(stderr, "streamplex bench: %s\n", error);
    } else if (count != 1 || !find_mode(arguments[0])) {
        fprintf(stderr, "streamplex bench: one of %s is wanted; --help says more\n",
                bench_table.arguments);
    } else if (prepare(find_mode(arguments[0]), &options, error, sizeof(error)) < 0) {
        fprintf(stderr, "streamplex bench: %s\n", error);
    } else {
        status = run(find_mode(arguments[0]), &options, argc, argv);
    }
    free(arguments);
    settings_free(&bench_table, &options);
    return status;
}
