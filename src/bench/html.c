/* A report as one page that needs nothing else: tables, and plots as inline SVG. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/plot.h"
#include "bench/report.h"

/* What a row is about is one of these: it gets bars. */
static const enum metric headlines[] = {
    METRIC_RATE,        METRIC_OPENS, METRIC_HANDSHAKES, METRIC_VISITS,      METRIC_REQUESTS,
    METRIC_MEMORY_EACH, METRIC_ADDED, METRIC_P50,        METRIC_CPU_MB,      METRIC_CPU_OPEN,
    METRIC_CPU_VISIT,   METRIC_BACK,  METRIC_AGENT_EACH, METRIC_CPU_REQUEST, METRIC_CPU_HANDSHAKE};
#define HEADLINES       (sizeof(headlines) / sizeof(headlines[0]))
#define HEADLINES_A_ROW 2

static const char style[] =
    ":root{color-scheme:light dark;--bg:#f7f8fa;--card:#fff;--ink:#1b2330;--soft:#667085;"
    "--rule:#e4e7ec;--c0:#2563eb;--c1:#d97706;--c2:#2563eb;--c3:#b42318;"
    "--c4:#7c3aed;--c5:#be185d;--c6:#15803d}"
    "@media(prefers-color-scheme:dark){:root{--bg:#11151c;--card:#1a2029;--ink:#e6e9ef;"
    "--soft:#93a0b4;--rule:#2c3542;--c0:#6ea0ff;--c1:#f0a94a;--c2:#6ea0ff;"
    "--c3:#f97066;--c4:#b692f6;--c5:#f670c7;--c6:#5cc98a}}"
    "body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,sans-serif}"
    "main{max-width:1080px;margin:0 auto;padding:32px 20px 60px}"
    "h1{font-size:26px;margin:0 0 4px}h2{font-size:17px;margin:0 0 12px}"
    "p{margin:4px 0;color:var(--soft)}code{font:13px ui-monospace,monospace;color:var(--ink)}"
    "section{background:var(--card);border:1px solid var(--rule);border-radius:10px;"
    "padding:20px 22px;margin:22px 0}"
    ".plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(400px,1fr));gap:14px 28px}"
    "figure{margin:0}svg{width:100%;height:auto;display:block}"
    "svg text{font:11px system-ui,sans-serif;fill:var(--soft)}"
    "svg .name,svg .label{font-size:12px;fill:var(--ink)}svg .name{font-weight:600}"
    "svg .value{font-size:12px;fill:var(--ink)}"
    ".grid{stroke:var(--rule);fill:none}.axis{stroke:var(--soft);fill:none}"
    ".whisker{stroke:var(--ink);stroke-width:1.4;fill:none;opacity:.75}"
    ".line{fill:none;stroke-width:2;stroke-linejoin:round}"
    ".line-0{stroke:var(--c0)}.line-1{stroke:var(--c1)}.line-2{stroke:var(--c2)}"
    ".line-3{stroke:var(--c3)}.line-4{stroke:var(--c4)}.line-5{stroke:var(--c5)}"
    ".line-6{stroke:var(--c6)}"
    ".bar-0{fill:var(--c0)}.bar-1{fill:var(--c1)}.bar-2{fill:var(--c2)}.bar-3{fill:var(--c3)}"
    ".bar-4{fill:var(--c4)}.bar-5{fill:var(--c5)}.bar-6{fill:var(--c6)}"
    ".key{display:flex;flex-wrap:wrap;gap:6px 18px;margin:12px 0 0;color:var(--soft)}"
    ".key b{display:inline-block;width:11px;height:11px;border-radius:3px;margin-right:6px}"
    "table{border-collapse:collapse;width:100%;margin-top:16px;font-size:13.5px}"
    "th{text-align:right;font-weight:600;color:var(--soft);padding:4px 10px;"
    "border-bottom:1px solid var(--rule)}"
    "td{text-align:right;padding:4px 10px;border-bottom:1px solid var(--rule);"
    "font-variant-numeric:tabular-nums}th:first-child,td:first-child{text-align:left;padding-left:"
    "0}"
    "td small{color:var(--soft)}.wide{overflow-x:auto}ul{padding-left:20px;color:var(--soft)}";

static void escape(FILE *out, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '&':
            fputs("&amp;", out);
            break;
        default:
            fputc(*text, out);
        }
    }
}

static void write_bars(FILE *out, const struct report_row *row)
{
    int drawn = 0;
    for (size_t i = 0; i < HEADLINES && drawn < HEADLINES_A_ROW; i++) {
        const struct metric_facts *facts = &metric_facts[headlines[i]];
        struct plot_bar bars[ROUTE_COUNT];
        size_t count = 0;
        for (int route = 0; route < ROUTE_COUNT; route++) {
            const struct series *series = &row->series[headlines[i]][route];
            if (series->count) {
                bars[count++] = (struct plot_bar){.label = route_names[route],
                                                  .value = series_median(series),
                                                  .least = series_least(series),
                                                  .most = series_most(series),
                                                  .colour = route};
            }
        }
        char title[64];
        snprintf(title, sizeof(title), "%s, %s", facts->label, facts->unit);
        if (count) {
            plot_bars(out, title, facts->unit, facts->decimals, bars, count);
            drawn++;
        }
    }
}

/* How long the best so-and-so many percent took; the tail is drawn as large as the rest. */
static size_t distribution(const struct histogram *histogram, double **ret_x, double **ret_y)
{
    size_t count = 0;
    double *x = malloc(HISTOGRAM_SLOTS * sizeof(double)),
           *y = malloc(HISTOGRAM_SLOTS * sizeof(double));
    uint64_t seen = 0;
    for (unsigned i = 0; x && y && i < HISTOGRAM_SLOTS; i++) {
        if (!histogram->slots[i]) {
            continue;
        }
        seen += histogram->slots[i];
        double left = (double)(histogram->count - seen) / (double)histogram->count;
        /* The last value has nothing above it: it stands where one more like it would. */
        double above = left > 0 ? left : 0.5 / (double)histogram->count;
        x[count] = -plot_log10(above);
        y[count++] = (double)histogram_slot_end(i) / 1e3;
    }
    *ret_x = x;
    *ret_y = y;
    return count;
}

static void write_distribution(FILE *out, const struct report_row *row)
{
    struct plot plot = {.out = out,
                        .title = "latency by percentile",
                        .x = {.scale = PLOT_PERCENTILES, .label = "of all round trips"},
                        .y = {.scale = PLOT_LOGARITHMIC, .least = 1e12, .label = "us"}};
    double *x[ROUTE_COUNT] = {0}, *y[ROUTE_COUNT] = {0};
    size_t count[ROUTE_COUNT] = {0};
    bool any = false;
    for (int route = 0; route < ROUTE_COUNT; route++) {
        const struct histogram *histogram = row->latency[route];
        if (!histogram || !histogram->count) {
            continue;
        }
        any = true;
        count[route] = distribution(histogram, &x[route], &y[route]);
        for (size_t i = 0; i < count[route]; i++) {
            plot.x.most = x[route][i] > plot.x.most ? x[route][i] : plot.x.most;
            plot.y.least = y[route][i] < plot.y.least ? y[route][i] : plot.y.least;
            plot.y.most = y[route][i] > plot.y.most ? y[route][i] : plot.y.most;
        }
    }
    if (any) {
        plot_begin(&plot);
    }
    for (int route = 0; route < ROUTE_COUNT; route++) {
        if (count[route]) {
            plot_line(&plot, x[route], y[route], count[route], route, false);
        }
        free(x[route]);
        free(y[route]);
    }
    if (any) {
        plot_end(&plot);
    }
}

static void write_rate(FILE *out, const struct report_row *row)
{
    struct plot plot = {.out = out,
                        .title = "rate over time, last round",
                        .x = {.label = "seconds"},
                        .y = {.label = "MB/s"}};
    bool any = false;
    for (int route = 0; route < ROUTE_COUNT; route++) {
        const struct timeline *rate = &row->rate[route];
        for (size_t i = 0; i < rate->count; i++) {
            any = true;
            plot.x.most = rate->seconds[i] > plot.x.most ? rate->seconds[i] : plot.x.most;
            plot.y.most = rate->values[i] > plot.y.most ? rate->values[i] : plot.y.most;
        }
    }
    if (!any) {
        return;
    }
    plot_begin(&plot);
    for (int route = 0; route < ROUTE_COUNT; route++) {
        const struct timeline *rate = &row->rate[route];
        if (rate->count) {
            plot_line(&plot, rate->seconds, rate->values, rate->count, route, false);
        }
    }
    plot_end(&plot);
}

static void write_cell(FILE *out, const struct report_row *row, int metric, int route)
{
    const struct series *series = &row->series[metric][route];
    int decimals = metric_facts[metric].decimals;
    if (!series->count) {
        fputs("<td></td>", out);
    } else if (series->count == 1) {
        fprintf(out, "<td>%.*f</td>", decimals, series_median(series));
    } else {
        fprintf(out, "<td>%.*f <small>%.*f&ndash;%.*f</small></td>", decimals,
                series_median(series), decimals, series_least(series), decimals,
                series_most(series));
    }
}

static void write_ratio(FILE *out, const struct report_row *row, int metric, int route, int other)
{
    struct series ratio = {0};
    if (metric_facts[metric].compared) {
        series_ratio(&row->series[metric][route], &row->series[metric][other], &ratio);
    }
    if (ratio.count) {
        fprintf(out, "<td>%.2f <small>%.2f&ndash;%.2f</small></td>", series_median(&ratio),
                series_least(&ratio), series_most(&ratio));
    } else {
        fputs("<td></td>", out);
    }
    series_deinit(&ratio);
}

/* What the others are yardsticks for: the server, or the edge. */
static int measured_route(const struct report_row *row)
{
    return row_has_route(row, ROUTE_SERVER) ? ROUTE_SERVER : ROUTE_EDGE;
}

static void write_table(FILE *out, const struct report_row *row)
{
    bool shown[ROUTE_COUNT];
    int measured = measured_route(row);
    fputs("<div class='wide'><table><tr><th></th>", out);
    for (int route = 0; route < ROUTE_COUNT; route++) {
        shown[route] = row_has_route(row, route);
        if (shown[route]) {
            fprintf(out, "<th>%s</th>", route_names[route]);
        }
    }
    for (int other = ROUTE_HOP; other < ROUTE_COUNT; other++) {
        if (row_compares(row, measured, other)) {
            fprintf(out, "<th>%s / %s</th>", route_names[measured], route_names[other]);
        }
    }
    fputs("</tr>\n", out);
    for (int metric = 0; metric < METRIC_COUNT; metric++) {
        const struct metric_facts *facts = &metric_facts[metric];
        size_t values = 0;
        for (int route = 0; route < ROUTE_COUNT; route++) {
            values += row->series[metric][route].count;
        }
        if (!values) {
            continue;
        }
        fprintf(out, "<tr><td>%s%s%s</td>", facts->label, *facts->unit ? ", " : "", facts->unit);
        for (int route = 0; route < ROUTE_COUNT; route++) {
            if (shown[route]) {
                write_cell(out, row, metric, route);
            }
        }
        for (int other = ROUTE_HOP; other < ROUTE_COUNT; other++) {
            if (row_compares(row, measured, other)) {
                write_ratio(out, row, metric, measured, other);
            }
        }
        fputs("</tr>\n", out);
    }
    fputs("</table></div>\n", out);
}

/* Rows of one group, by their `at`: how a metric grows. */
static void write_growth_of(FILE *out, const struct report *report, const char *group,
                            enum metric metric)
{
    double x[16], y[16];
    size_t count = 0;
    char title[96], label[96];
    const struct metric_facts *facts = &metric_facts[metric];
    snprintf(title, sizeof(title), "%s, %s, by %s", facts->label, facts->unit, group);
    snprintf(label, sizeof(label), "%s", group);
    struct plot plot = {.out = out,
                        .title = title,
                        .x = {.scale = PLOT_LOGARITHMIC, .least = 1e12, .label = label},
                        .y = {.label = facts->unit}};
    for (const struct report_row *row = report->rows; row; row = row->next) {
        const struct series *series = &row->series[metric][measured_route(row)];
        if (!row->group || strcmp(row->group, group) != 0 || !series->count || count == 16) {
            continue;
        }
        x[count] = row->at;
        y[count] = series_median(series);
        plot.x.least = x[count] < plot.x.least ? x[count] : plot.x.least;
        plot.x.most = x[count] > plot.x.most ? x[count] : plot.x.most;
        plot.y.most = y[count] > plot.y.most ? y[count] : plot.y.most;
        count++;
    }
    if (count > 1) {
        plot_begin(&plot);
        plot_line(&plot, x, y, count, ROUTE_SERVER, true);
        plot_end(&plot);
    }
}

static bool has_group(const struct report *report, const char *group)
{
    for (const struct report_row *row = report->rows; row; row = row->next) {
        if (row->group && strcmp(row->group, group) == 0) {
            return true;
        }
    }
    return false;
}

static void write_growth(FILE *out, const struct report *report)
{
    static const char *const groups[] = {"substreams", "tunnels", "sockets"};
    static const enum metric metrics[] = {METRIC_RATE,        METRIC_OPENS, METRIC_VISITS,
                                          METRIC_P50,         METRIC_P99,   METRIC_CPU_VISIT,
                                          METRIC_MEMORY_EACH, METRIC_MEMORY};
    for (size_t group = 0; group < sizeof(groups) / sizeof(groups[0]); group++) {
        if (!has_group(report, groups[group])) {
            continue;
        }
        fprintf(out, "<section><h2>growth with the number of %s</h2><div class='plots'>",
                groups[group]);
        for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++) {
            write_growth_of(out, report, groups[group], metrics[i]);
        }
        fputs("</div></section>\n", out);
    }
}

static void write_key(FILE *out, const struct report *report)
{
    static const char *const words[ROUTE_COUNT] = {
        [ROUTE_SERVER] = "streamplex",
        [ROUTE_HOP] = "a bare TLS-to-TCP relay",
        [ROUTE_EDGE] = "streamplex serve and connect",
        [ROUTE_SSH] = "sshd and ssh -R",
        [ROUTE_NGINX] = "a reverse proxy beside the service",
        [ROUTE_NGINX_SSH] = "nginx in front of sshd and ssh -R",
        [ROUTE_PLAIN] = "no proxy",
    };
    fputs("<div class='key'>", out);
    for (int route = 0; route < ROUTE_COUNT; route++) {
        bool shown = false;
        for (const struct report_row *row = report->rows; row; row = row->next) {
            shown |= row_has_route(row, route);
        }
        if (shown) {
            fprintf(out, "<span><b style='background:var(--c%d)'></b>%s: %s</span>", route,
                    route_names[route], words[route]);
        }
    }
    fputs("</div>\n", out);
}

static void write_head(FILE *out, const struct report *report)
{
    char date[64];
    time_t now = time(NULL);
    struct tm local;
    strftime(date, sizeof(date), "%Y-%m-%d %H:%M", localtime_r(&now, &local));
    fprintf(out,
            "<!doctype html><html lang='en'><meta charset='utf-8'>"
            "<meta name='viewport' content='width=device-width'>"
            "<title>streamplex bench %s</title><style>%s</style><main><h1>streamplex bench %s</h1>"
            "<p><code>",
            report->mode, style, report->mode);
    escape(out, report->command);
    fprintf(out, "</code></p><p>%s &middot; ", date);
    escape(out, report->facts);
    fputs("</p>", out);
    write_key(out, report);
}

int report_write_html(const struct report *report, const char *path)
{
    FILE *out = fopen(path, "we");
    if (!out) {
        return -1;
    }
    write_head(out, report);
    write_growth(out, report);
    for (const struct report_row *row = report->rows; row; row = row->next) {
        fputs("<section><h2>", out);
        escape(out, row->title);
        fputs("</h2><div class='plots'>\n", out);
        write_bars(out, row);
        write_distribution(out, row);
        write_rate(out, row);
        fputs("</div>\n", out);
        write_table(out, row);
        fputs("</section>\n", out);
    }
    fputs("<section><h2>how to read this</h2><p>Medians of the rounds, in small print the least "
          "and the most. All routes are measured in turn within each round, and a ratio is taken "
          "round by round.</p><ul>",
          out);
    for (size_t i = 0; i < report->note_count; i++) {
        fputs("<li>", out);
        escape(out, report->notes[i]);
        fputs("</li>", out);
    }
    fputs("</ul></section></main></html>\n", out);
    bool failed = ferror(out) != 0;
    return fclose(out) != 0 || failed ? -1 : 0;
}
