/* Lines on standard output, for a person or a machine that reads along. The agent never waits for
 * them: what the reader doesn't take at once isn't written, and how many lines that were is told
 * when it takes some again. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct live_log {
    int fd;
    uint64_t missed; /* lines, since the last that was written */
};

/* fd: borrowed. */
void live_log_init(struct live_log *log, int fd);
/* A line without its line feed, at most 4 KiB; a longer one is cut. */
void live_log_line(struct live_log *log, const char *line, size_t length);
