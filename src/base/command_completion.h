/* What a shell has to know to complete the program's command lines: a script for it. */
#pragma once

#include <stdio.h>

#include "base/command.h"

void command_complete_bash(const struct command_list *list, FILE *stream);
void command_complete_zsh(const struct command_list *list, FILE *stream);
void command_complete_fish(const struct command_list *list, FILE *stream);

/* --- What the three share --- */

enum completion_value {
    COMPLETION_NONE,    /* the option has no value */
    COMPLETION_ANY,     /* nothing can be suggested */
    COMPLETION_CHOICES, /* one of setting->choices */
    COMPLETION_FILE,
};
enum completion_value completion_value_of(const struct setting *setting);
/* Do files stand after the options? */
bool completion_takes_files(const struct settings_table *table);
/* The first sentence of a help text, without its full stop. */
void completion_sentence(const char *help, char *buffer, size_t size);
/* Text within single quotes. `escaped`: these get a backslash, too. `quote`: how the shell writes a
 * single quote within them. */
void completion_put(const char *text, const char *escaped, const char *quote, FILE *stream);
