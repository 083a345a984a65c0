#include "bench/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AT(field_) offsetof(struct bench_options, field_)

static const char *const directions[] = {"up", "down", "both", "all", NULL};
static const char *const besides[] = {"all", "none", "up", "down", NULL};

static const struct setting settings[] = {
    {.name = "help", .type = SETTING_FLAG, .offset = AT(help), .help = "Prints this help."},
    {.name = "self",
     .type = SETTING_FLAG,
     .offset = AT(self),
     .help = "Measures a server of this program that is started for it, on a core of its own; so "
             "it is without --server."},
    /* A running server: it has to allow this machine's targets (--egress-allow). */
    REACH_SETTINGS(AT(reach)),
    {.name = "server-name",
     .type = SETTING_TEXT,
     .offset = AT(server_name),
     .placeholder = "NAME",
     .help = "The name that the server's certificate is for, where it isn't its address."},
    {.name = "server-pid",
     .type = SETTING_NUMBER,
     .offset = AT(server_pid),
     .fallback = "0",
     .placeholder = "PID",
     .help = "The process of --server where it runs on this machine: its CPU time and memory are "
             "measured too."},
    {.name = "target-host",
     .type = SETTING_TEXT,
     .offset = AT(target_host),
     .fallback = "127.0.0.1",
     .placeholder = "ADDRESS",
     .help = "This machine's IPv4 address at which the server reaches the targets that the bench "
             "starts."},
    {.name = "server-option",
     .type = SETTING_LIST,
     .offset = AT(server_options),
     .placeholder = "FLAG",
     .help = "A further flag for the server that is started, such as --log-level=warning; "
             "repeatable."},
    {.name = "server-program",
     .type = SETTING_TEXT,
     .offset = AT(program),
     .placeholder = "FILE",
     .help = "Another build of streamplex to start as the server, to compare two."},

    {.name = "legacy",
     .type = SETTING_FLAG,
     .offset = AT(legacy),
     .help = "The device speaks the old wire only, without any extension."},
    {.name = "early-data",
     .type = SETTING_FLAG,
     .offset = AT(early_data),
     .help = "The device sends data before `connect` has come."},
    {.name = "smoke",
     .type = SETTING_FLAG,
     .offset = AT(smoke),
     .help = "A short run that judges what arrived (sums of bytes, checksums, counts), never how "
             "fast."},
    {.name = "resume",
     .type = SETTING_FLAG,
     .offset = AT(resume),
     .help = "tunnels: resume TLS sessions."},
    {.name = "ssh-no-tty",
     .type = SETTING_FLAG,
     .offset = AT(ssh_no_tty),
     .help = "edge: ssh without a terminal, as `ssh -N -R` is run mostly: Nagle's algorithm stays "
             "on, and small pieces wait for acknowledgements."},
    {.name = "routes",
     .type = SETTING_TEXT,
     .offset = AT(routes),
     .placeholder = "ROUTE[,ROUTE]...",
     .help = "What is measured, in turn: server, hop (a bare TLS-to-TCP relay), plain (TCP, no "
             "proxy); of the mode edge: edge, ssh (sshd and ssh -R), nginx, nginx+ssh, plain. By "
             "default all; with edge --smoke edge and plain."},
    {.name = "what",
     .type = SETTING_TEXT,
     .offset = AT(what),
     .placeholder = "ROW[,ROW]...",
     .help = "edge: what is measured, of bulk, visits, beside, http, https, first-byte, idle, "
             "sockets, return; by default all."},
    {.name = "rounds",
     .type = SETTING_NUMBER,
     .offset = AT(rounds),
     .fallback = "3",
     .placeholder = "NUMBER",
     .help = "How often each is measured, in turn; figures are medians.",
     .least = 1,
     .most = 1000},
    {.name = "seconds",
     .type = SETTING_DURATION,
     .offset = AT(seconds),
     .fallback = "0",
     .placeholder = "DURATION",
     .help = "How long one measurement lasts; 0: 2 s, or what the mode needs."},
    {.name = "bytes",
     .type = SETTING_SIZE,
     .offset = AT(bytes),
     .fallback = "0",
     .placeholder = "SIZE",
     .help = "throughput: so many bytes a measurement, checked, instead of --seconds."},
    {.name = "substreams",
     .type = SETTING_NUMBER,
     .offset = AT(substreams),
     .fallback = "0",
     .placeholder = "NUMBER",
     .help = "throughput: how many at once; 0: 1, 8 and 64.",
     .most = 15000},
    {.name = "concurrency",
     .type = SETTING_NUMBER,
     .offset = AT(concurrency),
     .fallback = "0",
     .placeholder = "NUMBER",
     .help = "open, tunnels: how many under way at once; 0: 1 and 64 (open), 16 (tunnels).",
     .most = 4096},
    {.name = "count",
     .type = SETTING_NUMBER,
     .offset = AT(count),
     .fallback = "0",
     .placeholder = "NUMBER",
     .help = "tunnels, fairness, growth, edge: how many; 0: 5000, 100, up to 19000, up to "
             "10000.",
     .most = 60000},
    {.name = "direction",
     .type = SETTING_CHOICE,
     .offset = AT(direction),
     .fallback = "all",
     .placeholder = "DIRECTION",
     .help = "throughput, rtt: up (device to target), down, both at once, or all of these in turn.",
     .choices = directions},
    {.name = "beside",
     .type = SETTING_CHOICE,
     .offset = AT(beside),
     .fallback = "all",
     .placeholder = "BULK",
     .help = "latency: beside a bulk substream up or down on the same tunnel, none, or all of "
             "these in turn.",
     .choices = besides},
    {.name = "rtt",
     .type = SETTING_NUMBER,
     .offset = AT(rtt_ms),
     .fallback = "0",
     .placeholder = "MILLISECONDS",
     .help = "rtt: the delay line's round trip; 0: 100. edge: that between agent and server, and "
             "between ssh and sshd; 0: no delay line.",
     .most = 10000},
    {.name = "rate",
     .type = SETTING_TEXT,
     .offset = AT(rate),
     .placeholder = "RATE",
     .help = "rtt, edge: the delay line's rate each way, such as 100mbit; 0: no bound; by default "
             "1gbit."},
    {.name = "json",
     .type = SETTING_TEXT,
     .offset = AT(json),
     .placeholder = "FILE",
     .help = "Writes all figures, each round's."},
    {.name = "html",
     .type = SETTING_TEXT,
     .offset = AT(html),
     .placeholder = "FILE",
     .help = "Writes one self-contained page with tables and plots."},
    {.name = NULL},
};

const struct settings_table bench_table = {
    .command = "bench",
    .arguments = "throughput|open|latency|tunnels|stall|rtt|fairness|growth|edge",
    .summary =
        "Measures a server: how fast it is, against a bare TLS relay (hop) and against no "
        "proxy at all (plain), in turn in the same run; and its edge against sshd and nginx.",
    .settings = settings,
    .size = sizeof(struct bench_options),
};

int options_parse_rate(const char *text, uint64_t *ret_rate)
{
    char *end;
    double number = strtod(text, &end);
    double bits = strcmp(end, "gbit") == 0   ? 1e9
                  : strcmp(end, "mbit") == 0 ? 1e6
                  : strcmp(end, "kbit") == 0 ? 1e3
                  : *end == 0                ? 1
                                             : 0;
    if (end == text || bits == 0 || !(number >= 0 && number * bits <= 1e12)) {
        return -1;
    }
    *ret_rate = (uint64_t)(number * bits / 8);
    return 0;
}

static bool has_word(const char *list, const char *word, size_t length)
{
    for (const char *at = list; *at;) {
        size_t size = strcspn(at, ",");
        if (size == length && strncmp(at, word, length) == 0) {
            return true;
        }
        at += size + (at[size] == ',');
    }
    return false;
}

bool options_has_word(const char *list, const char *word)
{
    return has_word(list, word, strlen(word));
}

bool options_has_route(const struct bench_options *options, const char *route)
{
    return options_has_word(options->routes ? options->routes : options->known_routes, route);
}

/* Whether each word of a setting's list is a known one. */
static int check_words(const char *name, const char *list, const char *known, char *error,
                       size_t error_size)
{
    for (const char *at = list ? list : ""; *at;) {
        size_t length = strcspn(at, ",");
        if (!has_word(known, at, length)) {
            snprintf(error, error_size, "--%s: %.*s is none of %s", name, (int)length, at, known);
            return -1;
        }
        at += length + (at[length] == ',');
    }
    return 0;
}

int options_check(const struct bench_options *options, char *error, size_t error_size)
{
    uint64_t rate;
    if (check_words("routes", options->routes, options->known_routes, error, error_size) < 0 ||
        check_words("what", options->what, OPTIONS_WHAT, error, error_size) < 0) {
        return -1;
    }
    if (options->edge && (options->reach.server || options->legacy)) {
        snprintf(error, error_size,
                 "edge starts its own server and speaks version 1: it is "
                 "without --server and --legacy");
        return -1;
    }
    if (options->self && options->reach.server) {
        snprintf(error, error_size, "--self and --server exclude each other");
        return -1;
    }
    if (options->rate && options_parse_rate(options->rate, &rate) < 0) {
        snprintf(error, error_size, "--rate: such as 1gbit or 100mbit is wanted");
        return -1;
    }
    return 0;
}
