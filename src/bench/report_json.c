#include <errno.h>
#include <jansson.h>

#include "bench/report.h"

static json_t *series_json(const struct series *series)
{
    json_t *values = json_array();
    for (size_t i = 0; i < series->count; i++) {
        json_array_append_new(values, json_real(series->values[i]));
    }
    return json_pack("{s:f, s:f, s:f, s:f, s:o}", "median", series_median(series), "least",
                     series_least(series), "most", series_most(series), "spread_percent",
                     series_spread(series), "rounds", values);
}

static void add_ratios(json_t *metric, const struct report_row *row, int number, int route)
{
    for (int other = ROUTE_HOP; other < ROUTE_COUNT; other++) {
        struct series ratio = {0};
        if (row_compares(row, route, other)) {
            series_ratio(&row->series[number][route], &row->series[number][other], &ratio);
        }
        if (ratio.count) {
            char key[32];
            snprintf(key, sizeof(key), "to_%s", route_names[other]);
            json_object_set_new(metric, key, series_json(&ratio));
        }
        series_deinit(&ratio);
    }
}

/* The distribution as pairs [us, count], empty slots left out. */
static json_t *histogram_json(const struct histogram *histogram)
{
    json_t *pairs = json_array();
    for (unsigned i = 0; i < HISTOGRAM_SLOTS; i++) {
        if (histogram->slots[i]) {
            json_array_append_new(pairs, json_pack("[f, I]", (double)histogram_slot_end(i) / 1e3,
                                                   (json_int_t)histogram->slots[i]));
        }
    }
    return pairs;
}

static json_t *timeline_json(const struct timeline *timeline)
{
    json_t *pairs = json_array();
    for (size_t i = 0; i < timeline->count; i++) {
        json_array_append_new(pairs,
                              json_pack("[f, f]", timeline->seconds[i], timeline->values[i]));
    }
    return pairs;
}

static json_t *route_json(const struct report_row *row, int route)
{
    json_t *object = json_object();
    for (int number = 0; number < METRIC_COUNT; number++) {
        const struct series *series = &row->series[number][route];
        if (series->count) {
            json_t *metric = series_json(series);
            if (metric_facts[number].compared) {
                add_ratios(metric, row, number, route);
            }
            json_object_set_new(object, metric_facts[number].key, metric);
        }
    }
    if (row->latency[route]) {
        json_object_set_new(object, "distribution_us", histogram_json(row->latency[route]));
    }
    if (row->rate[route].count) {
        json_object_set_new(object, "rate_over_time", timeline_json(&row->rate[route]));
    }
    return object;
}

int report_write_json(const struct report *report, const char *path)
{
    json_t *rows = json_array(), *notes = json_array();
    for (const struct report_row *row = report->rows; row; row = row->next) {
        json_t *routes = json_object();
        for (int route = 0; route < ROUTE_COUNT; route++) {
            json_t *object = route_json(row, route);
            if (json_object_size(object)) {
                json_object_set(routes, route_names[route], object);
            }
            json_decref(object);
        }
        json_array_append_new(rows, json_pack("{s:s, s:o}", "title", row->title, "routes", routes));
    }
    for (size_t i = 0; i < report->note_count; i++) {
        json_array_append_new(notes, json_string(report->notes[i]));
    }
    json_t *root = json_pack("{s:s, s:s, s:s, s:o, s:o, s:i, s:i, s:b}", "mode", report->mode,
                             "command", report->command, "machine", report->facts, "rows", rows,
                             "notes", notes, "checks", report->checks, "wrong", report->failures,
                             "bench_limited", report->client_limited);
    errno = 0;
    int failed = root ? json_dump_file(root, path, JSON_INDENT(1) | JSON_REAL_PRECISION(9)) : -1;
    json_decref(root);
    return failed ? -1 : 0;
}
