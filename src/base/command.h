/* The program's commands as data: what main() picks from, and what the help, the man pages
 * (command_man.h) and the shells' completion (command_completion.h) are made of.
 *
 * A command's name is one to three words ("serve", "socket create", "admin user ls"); those that
 * begin with the same word are a group, and share a man page. */
#pragma once

#include <stddef.h>
#include <stdio.h>

#include "base/settings.h"

#define COMMAND_WORDS_MAX 3

struct command {
    const char *name;                  /* words with a blank between */
    int (*run)(int argc, char **argv); /* argv[0] is the last word of the name */
    const struct settings_table *table;
    const char *summary; /* a line, without a full stop */
    const char *heading; /* what the help lists it under: those of one heading stand together. NULL:
                            nowhere */
};

struct command_list {
    const struct command *items;
    size_t count;
    const char *version;
};

/* The command that the words of argv[0...argc) begin with, the one of the most words, or NULL.
 * *ret_words: of its name. */
const struct command *command_find(const struct command_list *list, int argc, char **argv,
                                   int *ret_words);
/* The command of that name, NULL: there is none. */
const struct command *command_named(const struct command_list *list, const char *name);
/* Of argv[0...argc), how many words at the beginning are those of several commands: 2 of
 * {"admin", "user", "--help"}. */
int command_find_group(const struct command_list *list, int argc, char **argv);

/* Every command with a heading whose name begins with these words (none: all of them). */
void command_help(const struct command_list *list, int word_count, char **words, FILE *stream);

/* --- For command_man.c and command_completion*.c --- */

/* The word number `index` of a name, "" beyond its end. */
void command_word(const char *name, int index, char *buffer, size_t size);
int command_word_count(const char *name);
/* Does the name begin with these words, all of them whole? "" begins every name. */
bool command_begins(const char *name, const char *words);
/* Walks the different words that may follow `words` ("", "admin"): *at is 0 at first; the next
 * command with such a word, NULL at the end. Hidden commands aren't there. */
const struct command *command_next(const struct command_list *list, const char *words, size_t *at);
/* What is to be said of the next word: a command's summary, or of a group which commands it has.
 * `name` is the words with the next one. */
void command_describe(const struct command_list *list, const char *name, char *buffer, size_t size);
/* Walks every beginning of names ("admin", "admin user", "admin user ls"), each once. */
struct command_prefixes {
    size_t at;
    int words;
    char text[64];
};
bool command_next_prefix(const struct command_list *list, struct command_prefixes *prefixes);
