/* Plots as inline SVG: axes with round numbers, lines, bars with their spread. Colours come from
 * the page's classes `line-N`, `bar-N` (N: a route), so that a plot follows the reader's light or
 * dark mode. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum plot_scale {
    PLOT_LINEAR,      /* from 0 */
    PLOT_LOGARITHMIC, /* whole decades, or 1-2-5 when there are few */
    PLOT_PERCENTILES, /* values are -log10(1 - p): 50 %, 90 %, 99 %, 99.9 % ... equally far apart */
};

struct plot_axis {
    enum plot_scale scale;
    double least, most; /* of the values; widened to round numbers by plot_begin() */
    const char *label;
};

struct plot {
    FILE *out;
    const char *title;
    struct plot_axis x, y;
};

/* The decimal logarithm of a positive number to 0.0001: enough for a plot, and the program needs no
 * libm for it. */
double plot_log10(double value);
/* Opens the figure and draws the axes; plot_end() closes it. */
void plot_begin(struct plot *plot);
void plot_line(const struct plot *plot, const double *x, const double *y, size_t count, int colour,
               bool dots);
void plot_end(const struct plot *plot);

struct plot_bar {
    const char *label;
    double value, least, most;
    int colour;
};
/* A figure of horizontal bars from 0, each with its value and a whisker from least to most. */
void plot_bars(FILE *out, const char *title, const char *unit, int decimals,
               const struct plot_bar *bars, size_t count);
