#include "bench/plot.h"

#include <stdlib.h>

#define WIDTH  460.0
#define HEIGHT 250.0
#define LEFT   58.0
#define RIGHT  14.0
#define TOP    30.0
#define BOTTOM 40.0

#define BAR_HEIGHT 22.0
#define BAR_STEP   34.0
#define BAR_LEFT   62.0
#define BAR_RIGHT  96.0

double plot_log10(double value)
{
    double decades = 0;
    while (value >= 10) {
        value /= 10;
        decades++;
    }
    while (value < 1) {
        value *= 10;
        decades--;
    }
    /* ln by the series of artanh, which converges fast once the value is near 1. */
    while (value > 1.5) {
        value /= 2;
        decades += 0.301029995664;
    }
    double term = (value - 1) / (value + 1), square = term * term, sum = 0;
    for (int i = 1; i < 14; i += 2) {
        sum += term / i;
        term *= square;
    }
    return decades + 2 * sum * 0.434294481903;
}

static double place(const struct plot_axis *axis, double value)
{
    double least = axis->least, most = axis->most;
    if (axis->scale == PLOT_LOGARITHMIC) {
        least = plot_log10(least);
        most = plot_log10(most);
        value = value > 0 ? plot_log10(value) : least;
    }
    double at = (value - least) / (most - least);
    return at < 0 ? 0 : at > 1 ? 1 : at;
}

static double x_of(const struct plot *plot, double value)
{
    return LEFT + place(&plot->x, value) * (WIDTH - LEFT - RIGHT);
}

static double y_of(const struct plot *plot, double value)
{
    return HEIGHT - BOTTOM - place(&plot->y, value) * (HEIGHT - TOP - BOTTOM);
}

/* 1, 2 or 5 times a power of ten: about `count` of them make up `span`. */
static double round_step(double span, int count)
{
    double step = 1, wanted = span / count;
    while (step > wanted) {
        step /= 10;
    }
    while (step * 10 <= wanted) {
        step *= 10;
    }
    return wanted > step * 5   ? step * 10
           : wanted > step * 2 ? step * 5
           : wanted > step     ? step * 2
                               : step;
}

static void number_text(double value, char text[32])
{
    if (value >= 1e6) {
        snprintf(text, 32, "%g M", value / 1e6);
    } else if (value >= 1e4) {
        snprintf(text, 32, "%g k", value / 1e3);
    } else {
        snprintf(text, 32, "%g", value);
    }
}

static void tick(const struct plot *plot, bool horizontal, double value, const char *text)
{
    if (horizontal) {
        double x = x_of(plot, value);
        fprintf(plot->out,
                "<path class='grid' d='M%.1f %.1fV%.1f'/><text class='tick' x='%.1f' y='%.1f' "
                "text-anchor='%s'>%s</text>",
                x, TOP, HEIGHT - BOTTOM, x, HEIGHT - BOTTOM + 14,
                x > WIDTH - RIGHT - 12 ? "end" : "middle", text);
    } else {
        double y = y_of(plot, value);
        fprintf(plot->out,
                "<path class='grid' d='M%.1f %.1fH%.1f'/><text class='tick' x='%.1f' y='%.1f' "
                "text-anchor='end'>%s</text>",
                LEFT, y, WIDTH - RIGHT, LEFT - 6, y + 3.5, text);
    }
}

static void linear_ticks(const struct plot *plot, const struct plot_axis *axis, bool horizontal)
{
    double step = round_step(axis->most - axis->least, 5);
    for (double value = axis->least; value <= axis->most * 1.0001; value += step) {
        char text[32];
        number_text(value, text);
        tick(plot, horizontal, value, text);
    }
}

static void logarithmic_ticks(const struct plot *plot, const struct plot_axis *axis,
                              bool horizontal)
{
    static const double parts[] = {1, 2, 5};
    double decade = 1;
    while (decade > axis->least) {
        decade /= 10;
    }
    while (decade * 10 <= axis->least) {
        decade *= 10;
    }
    int count = axis->most / axis->least > 900 ? 1 : 3;
    for (; decade <= axis->most; decade *= 10) {
        for (int i = 0; i < count; i++) {
            double value = decade * parts[i];
            char text[32];
            if (value >= axis->least * 0.999 && value <= axis->most * 1.001) {
                number_text(value, text);
                tick(plot, horizontal, value, text);
            }
        }
    }
}

static void percentile_ticks(const struct plot *plot, const struct plot_axis *axis, bool horizontal)
{
    static const struct {
        double at;
        const char *text;
    } ticks[] = {{0.30103, "50 %"}, {1, "90 %"},    {2, "99 %"},
                 {3, "99.9 %"},     {4, "99.99 %"}, {5, "99.999 %"}};
    for (size_t i = 0; i < sizeof(ticks) / sizeof(ticks[0]); i++) {
        if (ticks[i].at <= axis->most) {
            tick(plot, horizontal, ticks[i].at, ticks[i].text);
        }
    }
}

static void widen(struct plot_axis *axis)
{
    if (axis->scale == PLOT_LINEAR) {
        axis->least = 0;
        axis->most = axis->most > 0 ? axis->most : 1;
        double step = round_step(axis->most, 5);
        axis->most = (double)(long long)(axis->most / step + 0.9999) * step;
    } else if (axis->scale == PLOT_LOGARITHMIC) {
        axis->least = axis->least > 0 ? axis->least * 0.8 : 0.1;
        axis->most = axis->most > axis->least ? axis->most * 1.25 : axis->least * 10;
    } else {
        axis->least = 0;
        axis->most = axis->most > 1 ? axis->most : 1;
    }
}

static void draw_ticks(const struct plot *plot, const struct plot_axis *axis, bool horizontal)
{
    switch (axis->scale) {
    case PLOT_LINEAR:
        linear_ticks(plot, axis, horizontal);
        break;
    case PLOT_LOGARITHMIC:
        logarithmic_ticks(plot, axis, horizontal);
        break;
    case PLOT_PERCENTILES:
        percentile_ticks(plot, axis, horizontal);
        break;
    }
}

void plot_begin(struct plot *plot)
{
    widen(&plot->x);
    widen(&plot->y);
    fprintf(plot->out,
            "<figure><svg viewBox='0 0 %.0f %.0f' role='img' aria-label='%s'>"
            "<text class='name' x='%.0f' y='16'>%s</text>",
            WIDTH, HEIGHT, plot->title, LEFT, plot->title);
    draw_ticks(plot, &plot->x, true);
    draw_ticks(plot, &plot->y, false);
    fprintf(plot->out,
            "<path class='axis' d='M%.1f %.1fV%.1fH%.1f'/>"
            "<text class='tick' x='%.1f' y='%.1f' text-anchor='end'>%s</text>"
            "<text class='tick' x='4' y='%.1f'>%s</text>",
            LEFT, TOP, HEIGHT - BOTTOM, WIDTH - RIGHT, WIDTH - RIGHT, HEIGHT - 8, plot->x.label,
            TOP - 8, plot->y.label);
}

void plot_line(const struct plot *plot, const double *x, const double *y, size_t count, int colour,
               bool dots)
{
    fprintf(plot->out, "<path class='line line-%d' d='", colour);
    for (size_t i = 0; i < count; i++) {
        fprintf(plot->out, "%c%.1f %.1f", i ? 'L' : 'M', x_of(plot, x[i]), y_of(plot, y[i]));
    }
    fputs("'/>", plot->out);
    for (size_t i = 0; dots && i < count; i++) {
        fprintf(plot->out, "<circle class='bar-%d' cx='%.1f' cy='%.1f' r='3.5'/>", colour,
                x_of(plot, x[i]), y_of(plot, y[i]));
    }
}

void plot_end(const struct plot *plot)
{
    fputs("</svg></figure>\n", plot->out);
}

void plot_bars(FILE *out, const char *title, const char *unit, int decimals,
               const struct plot_bar *bars, size_t count)
{
    double most = 0;
    for (size_t i = 0; i < count; i++) {
        most = bars[i].most > most ? bars[i].most : most;
    }
    double scale = most > 0 ? (WIDTH - BAR_LEFT - BAR_RIGHT) / most : 0;
    fprintf(out,
            "<figure><svg viewBox='0 0 %.0f %.0f' role='img' aria-label='%s'>"
            "<text class='name' x='%.0f' y='16'>%s</text>",
            WIDTH, TOP + BAR_STEP * (double)count, title, BAR_LEFT, title);
    for (size_t i = 0; i < count; i++) {
        const struct plot_bar *bar = &bars[i];
        double y = TOP + BAR_STEP * (double)i, middle = y + BAR_HEIGHT / 2;
        fprintf(out,
                "<text class='label' x='%.1f' y='%.1f' text-anchor='end'>%s</text>"
                "<rect class='bar-%d' x='%.1f' y='%.1f' width='%.1f' height='%.1f' rx='3'/>",
                BAR_LEFT - 8, middle + 4, bar->label, bar->colour, BAR_LEFT, y, bar->value * scale,
                BAR_HEIGHT);
        if (bar->most > bar->least) {
            fprintf(out, "<path class='whisker' d='M%.1f %.1fH%.1fM%.1f %.1fv8M%.1f %.1fv8'/>",
                    BAR_LEFT + bar->least * scale, middle, BAR_LEFT + bar->most * scale,
                    BAR_LEFT + bar->least * scale, middle - 4, BAR_LEFT + bar->most * scale,
                    middle - 4);
        }
        fprintf(out, "<text class='value' x='%.1f' y='%.1f'>%.*f %s</text>",
                BAR_LEFT + bar->most * scale + 8, middle + 4, decimals, bar->value, unit);
    }
    fputs("</svg></figure>\n", out);
}
