#include "server/metrics.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

/* Where a counter lives, and how it is shown. */
struct metric {
    size_t offset;
    const char *family, *label, *type, *help;
};

#define METRIC_ROW(field_, family_, label_, type_, help_)                                          \
    {offsetof(struct counters, field_), #family_, label_, #type_, help_},
static const struct metric table[] = {COUNTERS(METRIC_ROW)};
#undef METRIC_ROW

static int64_t sum(struct counters *const *counters, size_t count, size_t offset)
{
    int64_t total = 0;
    for (size_t i = 0; i < count; i++) {
        const char *base = (const char *)counters[i];
        total += atomic_load_explicit((const _Atomic int64_t *)(const void *)(base + offset),
                                      memory_order_relaxed);
    }
    return total;
}

static void write_counters(FILE *out, struct counters *const *counters, size_t count)
{
    const char *family = "";
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const struct metric *metric = &table[i];
        const char *suffix = strcmp(metric->type, "counter") == 0 ? "_total" : "";
        if (strcmp(family, metric->family) != 0) {
            family = metric->family;
            fprintf(out, "# HELP streamplex_%s%s %s\n", family, suffix, metric->help);
            fprintf(out, "# TYPE streamplex_%s%s %s\n", family, suffix, metric->type);
        }
        const char *open = *metric->label ? "{" : "", *close = *metric->label ? "}" : "";
        fprintf(out, "streamplex_%s%s%s%s%s %" PRId64 "\n", family, suffix, open, metric->label,
                close, sum(counters, count, metric->offset));
    }
}

static void write_one(FILE *out, const char *name, const char *type, const char *help, double value)
{
    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n%s %.15g\n", name, help, name, type, name, value);
}

/* -1 where there is no such file. */
static double resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file)
        return -1;
    unsigned long size, resident;
    int found = fscanf(file, "%lu %lu", &size, &resident);
    fclose(file);
    return found == 2 ? (double)resident * (double)sysconf(_SC_PAGESIZE) : -1;
}

static double open_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    if (!folder)
        return -1;
    int count = -1; /* the folder's own */
    for (struct dirent *entry; (entry = readdir(folder));)
        count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
}

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static void write_process(FILE *out)
{
    double resident = resident_bytes(), descriptors = open_descriptors();
    if (resident >= 0)
        write_one(out, "process_resident_memory_bytes", "gauge", "Resident memory size in bytes",
                  resident);
    if (descriptors >= 0)
        write_one(out, "process_open_fds", "gauge", "Open file descriptors", descriptors);
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        write_one(out, "process_max_fds", "gauge", "Limit of open file descriptors",
                  (double)limit.rlim_cur);
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        write_one(out, "process_cpu_seconds_total", "counter",
                  "User and system time spent in seconds",
                  seconds(usage.ru_utime) + seconds(usage.ru_stime));
}

char *metrics_text(struct counters *const *counters, size_t count, size_t *ret_length)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (!out)
        return NULL;
    fprintf(out, "# HELP streamplex_build_info The version of this program, always 1\n"
                 "# TYPE streamplex_build_info gauge\n"
                 "streamplex_build_info{version=\"" STREAMPLEX_VERSION "\"} 1\n");
    write_counters(out, counters, count);
    write_process(out);
    int fault = ferror(out);
    if (fclose(out) != 0 || fault) {
        free(text);
        return NULL;
    }
    *ret_length = length;
    return text;
}
