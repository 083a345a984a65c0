/* The settings of `streamplex bench`. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/reach_settings.h"
#include "base/settings.h"

enum direction { DIRECTION_UP, DIRECTION_DOWN, DIRECTION_BOTH, DIRECTION_ALL };
enum beside { BESIDE_ALL, BESIDE_NONE, BESIDE_UP, BESIDE_DOWN };

/* Durations in microseconds, sizes in bytes; a number of 0 means the mode's own default. */
struct bench_options {
    bool help, self;
    struct reach_settings reach; /* of a running server; none: one is started */
    char *server_name;
    uint64_t server_pid;
    char *target_host;
    struct setting_list server_options; /* further flags of the server that --self starts */
    char *program;

    bool legacy, early_data, smoke, resume, ssh_no_tty;
    char *routes;
    uint64_t rounds, seconds, bytes;
    uint64_t substreams, concurrency, count;
    int direction, beside; /* enum direction, enum beside */
    uint64_t rtt_ms;
    char *rate; /* NULL: the mode's own */
    char *what; /* edge: which rows; NULL: all */
    char *json, *html;

    /* Not settings: the mode's. */
    bool edge;                /* it measures the edge */
    const char *known_routes; /* comma-separated; all of them where routes is NULL */
};

/* The rows of the mode edge. */
#define OPTIONS_WHAT "bulk,visits,beside,http,https,first-byte,idle,sockets,return"

extern const struct settings_table bench_table;

/* "1gbit", "100mbit", "800kbit", "0": bytes a second. 0, or -1. */
int options_parse_rate(const char *text, uint64_t *ret_rate) __attribute__((warn_unused_result));
/* 0, or -1 with a sentence: what the table can't say by itself. */
/* Is it one of the words of a comma-separated list? */
bool options_has_word(const char *list, const char *word);
int options_check(const struct bench_options *options, char *error, size_t error_size)
    __attribute__((warn_unused_result));
bool options_has_route(const struct bench_options *options, const char *route);
