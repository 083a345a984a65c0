/* Figures over rounds: a series of values, its median and its spread. */
#pragma once

#include <stddef.h>

struct series {
    double *values; /* in the order in which they came: one a round */
    size_t count, capacity;
};

void series_add(struct series *series, double value); /* ends the process when memory ran out */
void series_deinit(struct series *series);
double series_median(
    const struct series *series); /* of an even count the mean of the middle two; 0 when empty */
double series_least(const struct series *series); /* 0 when empty */
double series_most(const struct series *series);  /* 0 when empty */
/* (most - least) / median, in percent; 0 for fewer than two values or a median of 0. */
double series_spread(const struct series *series);
/* Round by round a/b, where both have the round and b isn't 0. */
void series_ratio(const struct series *a, const struct series *b, struct series *ret_ratio);
