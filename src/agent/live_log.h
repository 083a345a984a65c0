/* Lines on standard output, for a person or a machine that reads along. The lines of a turn are
 * written together at its end; when the last were written less than LIVE_LOG_PAUSE ago, once that
 * has passed, for writing is dear and others wait meanwhile. The agent never waits for them: what
 * the reader doesn't take at once isn't written, and how many lines that were is told when it takes
 * some again. */
#pragma once

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include "net/loop.h"
#include "net/timer.h"

#define LIVE_LOG_PAUSE 20000 /* microseconds: nobody sees it, and it is 50 writes a second */

struct live_log {
    int fd;
    struct loop *loop;
    struct loop_deferred flush;
    struct timer pause;  /* runs when lines wait for its end */
    uint64_t written_at; /* loop_now() of the last write, or try */
    uint64_t missed;     /* lines, since the last that was written */
    size_t size;         /* of the lines that wait */
    unsigned lines;
    char buffer[PIPE_BUF]; /* what a pipe takes whole */
};

/* fd: borrowed. */
void live_log_init(struct live_log *log, struct loop *loop, int fd);
/* Writes what waits; before the loop is freed. Idempotent. */
void live_log_deinit(struct live_log *log);
/* A line without its line feed, at most 4 KiB; a longer one is cut. */
void live_log_line(struct live_log *log, const char *line, size_t length);
