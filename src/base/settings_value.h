/* One setting's value: text into the field of the command's struct, and back out of memory. For
 * settings*.c and the fuzzer. */
#pragma once

#include "base/settings.h"

/* The longest list: far above any use, and an end to what a file of commas can allocate. */
#define SETTINGS_LIST_MAX 65536

/* Room for any field, to check a text without storing it. */
union settings_field {
    char *text;
    struct setting_list list;
    bool flag;
    uint64_t number;
    int choice;
};

/* Parses `text` into *field. A list grows, by the one item `text` when
 * `whole` or secret, else by what is
 * between commas and blanks; every other type is replaced. 0, or -1 with a sentence in `error`;
 * then *field is as before, a list perhaps longer. */
int settings_value_set(const struct setting *setting, void *field, const char *text, bool whole,
                       char *error, size_t error_size) __attribute__((warn_unused_result));
/* Frees what *field holds and zeroes it. */
void settings_value_clear(const struct setting *setting, void *field);
bool settings_value_equal(const struct setting *setting, const void *a, const void *b);

/* NULL when there is none. name needn't be NUL-terminated, and may have '_' for '-'. */
const struct setting *settings_find(const struct settings_table *table, const char *name,
                                    size_t length);
/* The name most like `name`, or NULL when none is near. */
const char *settings_nearest(const struct settings_table *table, const char *name, size_t length);
