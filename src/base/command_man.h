/* Man pages of the program's commands, in man(7)'s macros. */
#pragma once

#include <stdio.h>

#include "base/command.h"

/* The page of a group, by its first word ("socket"), or ("streamplex") of the program as a whole.
 * 0, or -1: there is no such group. */
int command_man(const struct command_list *list, const char *page, FILE *stream)
    __attribute__((warn_unused_result));
