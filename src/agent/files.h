/* A folder as an HTTP/1.1 service inside the agent: `connect --dir PATH`.
 *
 *   files_request.c    what is asked for: a path below the folder, or a refusal
 *   files_condition.c  If-..., Range: which answer, and which part of the file
 *   files_answer.c     opens it, and writes the answer's head and short bodies
 *   files_listing.c    a folder without index.html, as a page
 *   files.c            the connections: requests in turn, files in pieces
 *
 * GET and HEAD alone. No path leads out of the folder; what begins with a dot isn't there, unless
 * shown. Files are read on the loop, 64 KiB at a time, as the socket takes them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "net/loop.h"

struct files;

/* 0, or -1 with a sentence: the folder can't be opened, or isn't one. It stays the one that it was,
 * even when it is renamed. */
int files_open(struct loop *loop, const char *folder, bool shows_hidden, struct files **ret_files,
               char *error, size_t error_size) __attribute__((warn_unused_result));
/* Takes a connected stream socket and speaks HTTP on it until it ends; any number at once (the
 * tunnel's substreams bound them). 0, or a negative errno, and fd is still the caller's. */
int files_serve(struct files *files, int fd) __attribute__((warn_unused_result));
/* Cuts what is under way; the loop has to have another turn before it is freed. NULL is fine. */
void files_close(struct files *files);
