#include "bench/statistics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void series_add(struct series *series, double value)
{
    if (series->count == series->capacity) {
        size_t capacity = series->capacity ? series->capacity * 2 : 8;
        double *values = realloc(series->values, capacity * sizeof(*values));
        if (!values) {
            fprintf(stderr, "streamplex bench: out of memory\n");
            abort();
        }
        series->values = values;
        series->capacity = capacity;
    }
    series->values[series->count++] = value;
}

void series_deinit(struct series *series)
{
    free(series->values);
    memset(series, 0, sizeof(*series));
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

double series_median(const struct series *series)
{
    size_t count = series->count;
    if (count == 0) {
        return 0;
    }
    struct series sorted = {0};
    for (size_t i = 0; i < count; i++) {
        series_add(&sorted, series->values[i]);
    }
    qsort(sorted.values, count, sizeof(double), compare);
    double median = count % 2 ? sorted.values[count / 2]
                              : (sorted.values[count / 2 - 1] + sorted.values[count / 2]) / 2;
    series_deinit(&sorted);
    return median;
}

double series_least(const struct series *series)
{
    double least = series->count ? series->values[0] : 0;
    for (size_t i = 1; i < series->count; i++) {
        least = series->values[i] < least ? series->values[i] : least;
    }
    return least;
}

double series_most(const struct series *series)
{
    double most = series->count ? series->values[0] : 0;
    for (size_t i = 1; i < series->count; i++) {
        most = series->values[i] > most ? series->values[i] : most;
    }
    return most;
}

double series_spread(const struct series *series)
{
    double median = series_median(series);
    if (series->count < 2 || median == 0) {
        return 0;
    }
    return (series_most(series) - series_least(series)) / median * 100;
}

void series_ratio(const struct series *a, const struct series *b, struct series *ret_ratio)
{
    size_t count = a->count < b->count ? a->count : b->count;
    for (size_t i = 0; i < count; i++) {
        if (b->values[i] != 0) {
            series_add(ret_ratio, a->values[i] / b->values[i]);
        }
    }
}
