/* What a run found: rows of metrics by route, each a series with a value a round; printed as a
 * table, written as JSON (report_json.c) and as a page (html.c). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "bench/histogram.h"
#include "bench/lane.h"
#include "bench/rig.h"
#include "bench/statistics.h"

enum metric {
    METRIC_RATE,           /* MB/s */
    METRIC_RATE_UP,        /* MB/s, of both at once */
    METRIC_RATE_DOWN,      /* MB/s, of both at once */
    METRIC_OPENS,          /* per second */
    METRIC_HANDSHAKES,     /* per second */
    METRIC_VISITS,         /* per second */
    METRIC_REQUESTS,       /* per second */
    METRIC_BACK,           /* ms: from an agent's start, or the server's, to visits that work */
    METRIC_BACK_ONLINE,    /* ms: from the agent's word that it is online */
    METRIC_P50,            /* us */
    METRIC_P90,            /* us */
    METRIC_P99,            /* us */
    METRIC_P999,           /* us */
    METRIC_LONGEST,        /* us */
    METRIC_WORST_MEDIAN,   /* us: the median of the member that waits most */
    METRIC_ADDED,          /* us: the p50 less plain's */
    METRIC_BULK,           /* MB/s of the bulk beside */
    METRIC_MEMORY_EACH,    /* kB a tunnel or substream */
    METRIC_AGENT_EACH,     /* kB of the agent a visitor */
    METRIC_MEMORY,         /* MB, resident */
    METRIC_MEMORY_PEAK,    /* MB, resident */
    METRIC_MEMORY_AFTER,   /* MB, resident */
    METRIC_SLAB_EACH,      /* kB a tunnel, kernel, both ends */
    METRIC_TAKEN,          /* MB that a stalled target's substream took */
    METRIC_ROUND_TRIPS,    /* until 0.8 of the direct rate */
    METRIC_CPU_MB,         /* us of the relay's CPU a MB */
    METRIC_CPU_OPEN,       /* us */
    METRIC_CPU_HANDSHAKE,  /* us */
    METRIC_CPU_VISIT,      /* us, of server, sshd's processes, nginx */
    METRIC_CPU_REQUEST,    /* us, likewise */
    METRIC_CPU_ROUND_TRIP, /* us */
    METRIC_RELAY_BUSY,     /* % of one core */
    METRIC_CLIENT_BUSY,    /* % of the time, the bench itself */
    METRIC_CORE_BUSY,      /* % of the time, bench and targets, which share a core */
    METRIC_OTHERS,         /* % of one core, what else ran on the machine */
    METRIC_COUNT,
};

struct metric_facts {
    const char *key;   /* in JSON */
    const char *label; /* a column's head */
    const char *unit;
    int decimals;
    bool compared; /* ratios to other routes mean something */
};
extern const struct metric_facts metric_facts[METRIC_COUNT];

/* Values over time, of one measurement; the last round's is kept. */
struct timeline {
    double *seconds, *values;
    size_t count, capacity;
};

struct report_row {
    char title[128];
    struct series series[METRIC_COUNT][ROUTE_COUNT];
    struct histogram *latency[ROUTE_COUNT]; /* all rounds'; NULL: none */
    struct timeline rate[ROUTE_COUNT];      /* MB/s over seconds */
    const char
        *group; /* rows of one growth: "substreams", "tunnels", "sockets"; NULL: none. Static */
    double at;  /* ...and how many */
    struct report_row *next;
};

struct report {
    const char *mode;
    char command[512];
    char facts[512]; /* machine, versions */
    struct report_row *rows, **last;
    char **notes;
    size_t note_count;
    int failures; /* checks that failed */
    int checks;
    bool client_limited; /* the bench was busy >= 90 % somewhere */
};

void report_init(struct report *report, const char *mode, int argc, char **argv);
void report_deinit(struct report *report);
struct report_row *report_row(struct report *report, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Do ratios of the row's metrics on `route` to those on `other` say something? Those of what is
 * measured to its yardsticks. */
bool row_compares(const struct report_row *row, int route, int other);
bool row_has_route(const struct report_row *row, int route);
/* The row of that title, in rounds after the first; a new one in the first. */
struct report_row *report_row_again(struct report *report, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void row_add(struct report_row *row, enum route route, enum metric metric, double value);
/* Adds the percentiles of one round, and the round to what is drawn. */
void row_add_latency(struct report_row *row, enum route route, const struct histogram *histogram);
/* How busy bench, targets and the rest of the machine were. */
void row_add_used(struct report_row *row, enum route route, const struct used *used);
void timeline_add(struct timeline *timeline, double seconds, double value);
void timeline_clear(struct timeline *timeline);
void report_note(struct report *report, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The same but when it was noted before. */
void report_note_once(struct report *report, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* A check of --smoke, or of any counted run: says what is wrong and counts it. Returns `right`. */
bool report_check(struct report *report, bool right, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

void report_print(struct report *report, FILE *stream);
/* 0 or -1 with errno. */
int report_write_json(const struct report *report, const char *path)
    __attribute__((warn_unused_result));
int report_write_html(const struct report *report, const char *path)
    __attribute__((warn_unused_result));
