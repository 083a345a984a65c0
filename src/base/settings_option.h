/* Walks the options of a command line. */
#pragma once

#include "base/settings.h"

struct option_walk {
    const struct settings_table *table;
    int argc;
    char **argv;
    int at;          /* the next to look at; starts at 1 */
    bool positional; /* "--" was seen */
};

struct option {
    const struct setting *setting; /* NULL: a positional argument */
    const char *text;              /* the value, "yes" for a bare flag; or the argument */
};

/* 1: *ret_option is the next one. 0: no more. -1: a sentence in `error`; the walk has gone past
 * what it is about. */
int settings_next_option(struct option_walk *walk, struct option *ret_option, char *error,
                         size_t error_size) __attribute__((warn_unused_result));
