#include "bench/report.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "bench/process.h"
#include "net/tls.h"

/* Where a loader is no longer surely faster than what it loads. */
#define BUSY_LIMIT 90.0
/* Percent of a core; less is a desktop's breathing. */
#define OTHERS_LIMIT 10.0

const struct metric_facts metric_facts[METRIC_COUNT] = {
    [METRIC_RATE] = {"mb_per_s", "rate", "MB/s", 0, true},
    [METRIC_RATE_UP] = {"mb_per_s_up", "up", "MB/s", 0, false},
    [METRIC_RATE_DOWN] = {"mb_per_s_down", "down", "MB/s", 0, false},
    [METRIC_OPENS] = {"opens_per_s", "opens", "1/s", 0, true},
    [METRIC_HANDSHAKES] = {"handshakes_per_s", "tunnels", "1/s", 0, true},
    [METRIC_VISITS] = {"visits_per_s", "visits", "1/s", 0, true},
    [METRIC_REQUESTS] = {"requests_per_s", "requests", "1/s", 0, true},
    [METRIC_BACK] = {"back_ms", "back after", "ms", 0, false},
    [METRIC_BACK_ONLINE] = {"back_online_ms", "after online", "ms", 0, false},
    [METRIC_P50] = {"p50_us", "p50", "us", 0, true},
    [METRIC_P90] = {"p90_us", "p90", "us", 0, false},
    [METRIC_P99] = {"p99_us", "p99", "us", 0, true},
    [METRIC_P999] = {"p999_us", "p99.9", "us", 0, false},
    [METRIC_LONGEST] = {"longest_us", "longest", "us", 0, false},
    [METRIC_WORST_MEDIAN] = {"worst_median_us", "worst p50", "us", 0, false},
    [METRIC_ADDED] = {"added_us", "added to plain", "us", 0, true},
    [METRIC_BULK] = {"bulk_mb_per_s", "bulk", "MB/s", 0, false},
    [METRIC_MEMORY_EACH] = {"rss_each_kb", "RSS each", "kB", 2, true},
    [METRIC_AGENT_EACH] = {"agent_rss_each_kb", "agent RSS each", "kB", 2, false},
    [METRIC_MEMORY] = {"rss_mb", "RSS", "MB", 1, false},
    [METRIC_MEMORY_PEAK] = {"rss_peak_mb", "RSS peak", "MB", 1, false},
    [METRIC_MEMORY_AFTER] = {"rss_after_mb", "RSS after", "MB", 1, false},
    [METRIC_SLAB_EACH] = {"slab_each_kb", "kernel each", "kB", 2, false},
    [METRIC_TAKEN] = {"taken_mb", "taken", "MB", 2, false},
    [METRIC_ROUND_TRIPS] = {"round_trips_to_080", "trips to 0.8", "", 1, false},
    [METRIC_CPU_MB] = {"cpu_us_per_mb", "CPU/MB", "us", 0, true},
    [METRIC_CPU_OPEN] = {"cpu_us_per_open", "CPU/open", "us", 1, true},
    [METRIC_CPU_HANDSHAKE] = {"cpu_us_per_handshake", "CPU/tunnel", "us", 0, true},
    [METRIC_CPU_VISIT] = {"cpu_us_per_visit", "CPU/visit", "us", 1, true},
    [METRIC_CPU_REQUEST] = {"cpu_us_per_request", "CPU/request", "us", 1, true},
    [METRIC_CPU_ROUND_TRIP] = {"cpu_us_per_round_trip", "CPU/trip", "us", 1, true},
    [METRIC_RELAY_BUSY] = {"relay_busy_percent", "its core", "%", 0, false},
    [METRIC_CLIENT_BUSY] = {"client_busy_percent", "bench", "%", 0, false},
    [METRIC_CORE_BUSY] = {"client_core_busy_percent", "bench+targets", "%", 0, false},
    [METRIC_OTHERS] = {"others_percent", "other processes", "%", 0, false},
};

static void *must(void *memory)
{
    if (!memory) {
        fprintf(stderr, "streamplex bench: out of memory\n");
        abort();
    }
    return memory;
}

static void find_facts(struct report *report)
{
    struct utsname name;
    char cpu[128] = "unknown CPU", line[256];
    FILE *file = fopen("/proc/cpuinfo", "re");
    while (file && fgets(line, sizeof(line), file)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) == 0 && colon) {
            snprintf(cpu, sizeof(cpu), "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
            break;
        }
    }
    if (file) {
        fclose(file);
    }
    uname(&name);
    snprintf(report->facts, sizeof(report->facts), "%s, %d cores, Linux %s, %s", cpu,
             process_core_count(), name.release, tls_library());
}

void report_init(struct report *report, const char *mode, int argc, char **argv)
{
    memset(report, 0, sizeof(*report));
    report->mode = mode;
    report->last = &report->rows;
    size_t used = (size_t)snprintf(report->command, sizeof(report->command), "streamplex bench");
    for (int i = 1; i < argc && used < sizeof(report->command); i++) {
        /* A report is sent around: no token in it, in either way of giving one. */
        bool secret = strncmp(argv[i], "--token=", 8) == 0 || strcmp(argv[i - 1], "--token") == 0;
        used += (size_t)snprintf(report->command + used, sizeof(report->command) - used, " %s",
                                 secret ? "..." : argv[i]);
    }
    find_facts(report);
}

void report_deinit(struct report *report)
{
    struct report_row *row = report->rows;
    while (row) {
        struct report_row *next = row->next;
        for (int route = 0; route < ROUTE_COUNT; route++) {
            for (int metric = 0; metric < METRIC_COUNT; metric++) {
                series_deinit(&row->series[metric][route]);
            }
            free(row->latency[route]);
            timeline_clear(&row->rate[route]);
        }
        free(row);
        row = next;
    }
    for (size_t i = 0; i < report->note_count; i++) {
        free(report->notes[i]);
    }
    free(report->notes);
}

struct report_row *report_row(struct report *report, const char *format, ...)
{
    struct report_row *row = must(calloc(1, sizeof(*row)));
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(row->title, sizeof(row->title), format, arguments);
    va_end(arguments);
    *report->last = row;
    report->last = &row->next;
    return row;
}

struct report_row *report_row_again(struct report *report, const char *format, ...)
{
    char title[sizeof(report->rows->title)];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(title, sizeof(title), format, arguments);
    va_end(arguments);
    for (struct report_row *row = report->rows; row; row = row->next) {
        if (strcmp(row->title, title) == 0) {
            return row;
        }
    }
    return report_row(report, "%s", title);
}

void row_add(struct report_row *row, enum route route, enum metric metric, double value)
{
    series_add(&row->series[metric][route], value);
}

void row_add_latency(struct report_row *row, enum route route, const struct histogram *histogram)
{
    row_add(row, route, METRIC_P50, (double)histogram_percentile(histogram, 50) / 1e3);
    row_add(row, route, METRIC_P90, (double)histogram_percentile(histogram, 90) / 1e3);
    row_add(row, route, METRIC_P99, (double)histogram_percentile(histogram, 99) / 1e3);
    row_add(row, route, METRIC_P999, (double)histogram_percentile(histogram, 99.9) / 1e3);
    row_add(row, route, METRIC_LONGEST, (double)histogram->most / 1e3);
    if (!row->latency[route]) {
        row->latency[route] = must(malloc(sizeof(*histogram)));
        histogram_init(row->latency[route]);
    }
    histogram_merge(row->latency[route], histogram);
}

void row_add_used(struct report_row *row, enum route route, const struct used *used)
{
    if (used->relay > 0) {
        row_add(row, route, METRIC_RELAY_BUSY, used->relay_busy);
    }
    row_add(row, route, METRIC_CLIENT_BUSY, used->client_busy);
    if (used->core_busy >= 0) {
        row_add(row, route, METRIC_CORE_BUSY, used->core_busy);
    }
    if (used->others >= 0) {
        row_add(row, route, METRIC_OTHERS, used->others);
    }
}

void timeline_add(struct timeline *timeline, double seconds, double value)
{
    if (timeline->count == timeline->capacity) {
        timeline->capacity = timeline->capacity ? timeline->capacity * 2 : 64;
        size_t size = timeline->capacity * sizeof(double);
        timeline->seconds = must(realloc(timeline->seconds, size));
        timeline->values = must(realloc(timeline->values, size));
    }
    timeline->seconds[timeline->count] = seconds;
    timeline->values[timeline->count++] = value;
}

void timeline_clear(struct timeline *timeline)
{
    free(timeline->seconds);
    free(timeline->values);
    memset(timeline, 0, sizeof(*timeline));
}

static void add_note(struct report *report, const char *format, va_list arguments)
{
    char *note = NULL;
    if (vasprintf(&note, format, arguments) < 0) {
        note = NULL;
    }
    report->notes = must(realloc(report->notes, (report->note_count + 1) * sizeof(*report->notes)));
    report->notes[report->note_count++] = must(note);
}

void report_note(struct report *report, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    add_note(report, format, arguments);
    va_end(arguments);
}

void report_note_once(struct report *report, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    add_note(report, format, arguments);
    va_end(arguments);
    const char *last = report->notes[report->note_count - 1];
    for (size_t i = 0; i + 1 < report->note_count; i++) {
        if (strcmp(report->notes[i], last) == 0) {
            free(report->notes[--report->note_count]);
            return;
        }
    }
}

bool report_check(struct report *report, bool right, const char *format, ...)
{
    report->checks++;
    if (right) {
        return true;
    }
    report->failures++;
    va_list arguments;
    va_start(arguments, format);
    fputs("streamplex bench: wrong: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    va_start(arguments, format);
    add_note(report, format, arguments);
    va_end(arguments);
    return false;
}

/* The table -------------------------------------------------------------------------------------
 */

static bool has_metric(const struct report_row *row, int metric)
{
    for (int route = 0; route < ROUTE_COUNT; route++) {
        if (row->series[metric][route].count) {
            return true;
        }
    }
    return false;
}

bool row_has_route(const struct report_row *row, int route)
{
    for (int metric = 0; metric < METRIC_COUNT; metric++) {
        if (row->series[metric][route].count) {
            return true;
        }
    }
    return false;
}

bool row_compares(const struct report_row *row, int route, int other)
{
    return route <= ROUTE_EDGE && other > route && row_has_route(row, route) &&
           row_has_route(row, other);
}

static void print_line(const struct report_row *row, int metric, int route, FILE *stream)
{
    const struct metric_facts *facts = &metric_facts[metric];
    const struct series *series = &row->series[metric][route];
    if (!series->count) {
        return;
    }
    char label[48];
    snprintf(label, sizeof(label), "%s%s%s", facts->label, *facts->unit ? ", " : "", facts->unit);
    fprintf(stream, "  %-9s %-17s %11.*f", route_names[route], label, facts->decimals,
            series_median(series));
    if (series->count > 1) {
        char range[48];
        snprintf(range, sizeof(range), "%.*f-%.*f", facts->decimals, series_least(series),
                 facts->decimals, series_most(series));
        fprintf(stream, "  %19s %4.0f %%", range, series_spread(series));
    } else {
        fprintf(stream, "  %19s %6s", "", "");
    }
    for (int other = ROUTE_HOP; facts->compared && other < ROUTE_COUNT; other++) {
        struct series ratio = {0};
        if (row_compares(row, route, other)) {
            series_ratio(series, &row->series[metric][other], &ratio);
        }
        if (ratio.count) {
            fprintf(stream, "  %5.2f (%.2f-%.2f) x %s", series_median(&ratio), series_least(&ratio),
                    series_most(&ratio), route_names[other]);
        }
        series_deinit(&ratio);
    }
    fputc('\n', stream);
}

static void print_row(const struct report_row *row, FILE *stream)
{
    fprintf(stream, "\n%s\n", row->title);
    fprintf(stream, "  %-9s %-17s %11s  %19s %6s  %s\n", "", "", "median", "least-most", "spread",
            "ratios");
    for (int metric = 0; metric < METRIC_COUNT; metric++) {
        if (!has_metric(row, metric)) {
            continue;
        }
        for (int route = 0; route < ROUTE_COUNT; route++) {
            print_line(row, metric, route, stream);
        }
    }
}

/* Where the bench itself was the limit, its figures are a lower bound, and it says so. */
static void note_busy(struct report *report)
{
    for (struct report_row *row = report->rows; row; row = row->next) {
        for (int route = 0; route < ROUTE_COUNT; route++) {
            const struct series *busy = &row->series[METRIC_CORE_BUSY][route];
            /* Where the kernel shares the cores out, the bench has one at most to itself. */
            double median =
                series_median(busy->count ? busy : &row->series[METRIC_CLIENT_BUSY][route]);
            if (!row_has_route(row, route) || median < BUSY_LIMIT) {
                continue;
            }
            report->client_limited = true;
            report_note(report,
                        "%s, %s: the bench's own core was %.0f %% busy (the bench %.0f %%), so the "
                        "rate is a lower bound; the CPU per unit holds",
                        row->title, route_names[route], median,
                        series_median(&row->series[METRIC_CLIENT_BUSY][route]));
        }
    }
}

/* A machine that does something else meanwhile measures that too. */
static void note_others(struct report *report)
{
    double most = 0;
    for (struct report_row *row = report->rows; row; row = row->next) {
        for (int route = 0; route < ROUTE_COUNT; route++) {
            double median = series_median(&row->series[METRIC_OTHERS][route]);
            most = median > most ? median : most;
        }
    }
    if (most >= OTHERS_LIMIT) {
        report_note(report,
                    "other processes took up to %.0f %% of a core meanwhile: the figures "
                    "are disturbed",
                    most);
    }
}

void report_print(struct report *report, FILE *stream)
{
    note_busy(report);
    note_others(report);
    fprintf(stream, "%s\n%s\n", report->command, report->facts);
    for (struct report_row *row = report->rows; row; row = row->next) {
        print_row(row, stream);
    }
    if (report->note_count) {
        fputc('\n', stream);
    }
    for (size_t i = 0; i < report->note_count; i++) {
        fprintf(stream, "note: %s\n", report->notes[i]);
    }
    if (report->checks) {
        fprintf(stream, "%d checks, %d wrong\n", report->checks, report->failures);
    }
}
