/* The access log: a line a visit, appended to a file by one write(2) each, from any worker. */
#pragma once

#include <stdbool.h>

#include "edge/visit_record.h"

struct access_log;

/* Opens for appending, making the file (0640) if need be. Counted by reference, for it is shared by
 * workers and swapped at a reload. 0, or -1 with a sentence. */
int access_log_open(const char *file, bool is_json, struct access_log **ret_log, char *error,
                    size_t error_size) __attribute__((warn_unused_result));
struct access_log *access_log_ref(struct access_log *log);
void access_log_unref(struct access_log *log);                                    /* NULL is fine */
void access_log_write(struct access_log *log, const struct visit_record *record); /* NULL is fine */
