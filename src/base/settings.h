/* Settings by flag, by environment and by an INI file: one table of each command's settings serves
 * all three, the help and the documentation.
 *
 * Precedence: flag over environment over file over default. A list given at one level replaces the
 * levels under it. An INI line is `name = value` with the flag's name without dashes; a line that
 * begins with `#` or `;` is a comment (one after a value isn't: tokens may have these characters);
 * double quotes around a value are taken off. `[serve]`-like sections are named after the commands;
 * what stands before the first counts for every command. Unknown names, and values that don't
 * parse, are errors that name file and line, variable or flag, even where another level overrides
 * them. In names of flags and in the file '_' is as '-'. An empty variable counts as not set; an
 * empty value elsewhere is an error.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum setting_type {
    SETTING_TEXT,   /* char *; NULL when the default is NULL and nothing was given */
    SETTING_LIST,   /* struct setting_list; each mention of the flag adds one item, taken whole; in
                       our variable and in the file (each line adds) split at commas and blanks;
                       a reference variable is one item */
    SETTING_FLAG,   /* bool; `--name`, `--no-name`; elsewhere yes/no/true/false/on/off/1/0 */
    SETTING_NUMBER, /* uint64_t within least...most */
    SETTING_SIZE,   /* uint64_t bytes; suffixes k, m, g (powers of 1024) */
    SETTING_DURATION, /* uint64_t microseconds; suffixes us, ms, s, m, h, d; a bare number is
                         seconds */
    SETTING_CHOICE,   /* int: index into choices */
};

struct setting_list {
    char **items;
    size_t count;
};

struct setting {
    const char *name; /* the flag without "--", words joined by '-' */
    enum setting_type type;
    size_t offset;        /* of the value in the command's own struct */
    const char *fallback; /* default as text; NULL: none (0, empty, NULL) */
    const char
        *environment;      /* our own variable; NULL: for the command line alone, no file either */
    const char *reference; /* the variable of the reference proxy or of the boards with the same
                              meaning; several, by spaces: the first that is set counts. Looked at
                              only where neither flag nor our own variable is given. NULL: none */
    const char *placeholder;    /* "ADDR:PORT" in the help; NULL for SETTING_FLAG */
    const char *help;           /* sentences, each with its full stop */
    uint64_t least, most;       /* numbers, sizes and durations; most 0: no bound */
    const char *const *choices; /* NULL-terminated; SETTING_CHOICE */
    bool reloadable;
    bool secret; /* never printed with its value, wiped when freed */
    /* How a value of `reference` differs ("5005" for "[::]:5005"): writes the text to parse. 0 or
     * -1. NULL: as it is. */
    int (*from_reference)(const char *value, char *buffer, size_t size);
    /* Texts and lists: does this text, or each item, make sense? Asked while the value's place is
     * known, so that the error names it. 0, or -1 with a sentence in `error`. NULL: anything does.
     */
    int (*check)(const char *text, char *error, size_t error_size);
};

struct settings_table {
    const char *command;            /* "serve", "socket create" */
    const char *arguments;          /* "" or "HOST:PORT": what stands after the options */
    const char *summary;            /* what the command does, a sentence or two */
    const struct setting *settings; /* name NULL ends it */
    size_t size;                    /* of the command's struct */
};

/* Reads all three sources into *values (a struct of table->size, zeroed before). argv[0] is the
 * command's name. The INI file is the value of the setting named "config", if the table has one.
 * Positional arguments are put in argv's order into *ret_arguments, an array for the caller to
 * free() (its strings are argv's, which is left as it is, to be read again at a reload); with
 * ret_arguments NULL they are an error. 0, or -1 with a sentence for the operator in `error`.
 * settings_free() in any case. */
int settings_read(const struct settings_table *table, int argc, char **argv, void *values,
                  char ***ret_arguments, int *ret_argument_count, char *error, size_t error_size)
    __attribute__((warn_unused_result));
void settings_free(const struct settings_table *table, void *values);

/* The name of the first setting that differs and isn't reloadable, NULL when there is none. */
const char *settings_find_fixed_change(const struct settings_table *table, const void *before,
                                       const void *after);

/* Answers -h, --help and --help=markdown wherever they stand among the options: prints to `stream`
 * and returns true. Comes before settings_read(), so that help is there when a setting is wrong. */
bool settings_answer_help(const struct settings_table *table, int argc, char **argv, FILE *stream);
/* Usage, then every setting with its placeholder, its sentence, its default and its variables. */
void settings_help(const struct settings_table *table, FILE *stream);
/* The README's table: a Markdown row a setting. */
void settings_markdown(const struct settings_table *table, FILE *stream);

#define SETTINGS_LINE_MAX 4096 /* bytes of a line: a token is at most half of it */

/* One INI text, for the fuzzer and for settings_read(): calls on_pair for each `name = value` of
 * `section` (NULL: of all). on_pair returns 0, or -1 with a sentence in its `error`, before which
 * "file:line: " is put. Lines are bounded, control characters are errors, and so are sections that
 * aren't named after a command. 0 or -1 with error. */
typedef int settings_on_pair(void *user, const char *name, const char *value, int line, char *error,
                             size_t error_size);
int settings_parse_ini(const char *text, size_t length, const char *file_name, const char *section,
                       settings_on_pair *on_pair, void *user, char *error, size_t error_size)
    __attribute__((warn_unused_result));
/* The same lines with sections of any name: on_section is called at each, on_pair (in its order)
 * for what stands in it, or before the first. Both return 0, or -1 with a sentence. */
typedef int settings_on_section(void *user, const char *name, int line, char *error,
                                size_t error_size);
int settings_parse_sections(const char *text, size_t length, const char *file_name,
                            settings_on_section *on_section, settings_on_pair *on_pair, void *user,
                            char *error, size_t error_size) __attribute__((warn_unused_result));
/* A file's text, malloced, at most `most` bytes. 0 or a negative errno (-EFBIG: longer). */
int settings_read_text(const char *path, size_t most, char **ret_text, size_t *ret_length)
    __attribute__((warn_unused_result));
