/* The files of a folder over HTTP, for `connect --dir`. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "net/loop.h"

struct files;

int files_open(struct loop *loop, const char *folder, bool show_hidden, struct files **ret_files,
               char *error, size_t error_size) __attribute__((warn_unused_result));
/* Takes fd, a connected socket of one visitor. 0 or a negative errno (then fd is still the
 * caller's). */
int files_serve(struct files *files, int fd) __attribute__((warn_unused_result));
void files_close(struct files *files); /* NULL is fine */
