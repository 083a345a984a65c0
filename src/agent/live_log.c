#include "agent/live_log.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "agent/complain.h"

/* A pipe that polls as writable takes PIPE_BUF bytes whole without waiting. */
static bool write_lines(const struct live_log *log)
{
    struct pollfd poll_fd = {.fd = log->fd, .events = POLLOUT};

    if (poll(&poll_fd, 1, 0) != 1 || !(poll_fd.revents & POLLOUT))
        return false;
    ssize_t written;
    do
        written = write(log->fd, log->buffer, log->size);
    while (written < 0 && errno == EINTR);
    return written == (ssize_t)log->size;
}

static void flush(struct live_log *log)
{
    loop_undefer(log->loop, &log->flush);
    timer_stop(&log->pause);
    if (!log->size)
        return;
    if (!write_lines(log)) {
        log->missed += log->lines;
    } else if (log->missed) {
        /* On the other stream: whoever parses this one finds only what it knows. */
        complain_write("connect", "%llu lines of the log were not read in time",
                       (unsigned long long)log->missed);
        log->missed = 0;
    }
    log->size = log->lines = 0;
    log->written_at = loop_now(log->loop);
}

static void run_flush(struct loop_deferred *deferred)
{
    flush((struct live_log *)(void *)((char *)deferred - offsetof(struct live_log, flush)));
}

static void run_pause(struct timer *timer)
{
    flush((struct live_log *)(void *)((char *)timer - offsetof(struct live_log, pause)));
}

void live_log_init(struct live_log *log, struct loop *loop, int fd)
{
    *log = (struct live_log){.fd = fd, .loop = loop, .flush.run = run_flush};
    timer_init(&log->pause, loop, run_pause);
}

void live_log_deinit(struct live_log *log)
{
    flush(log);
}

/* The first line in the buffer says when all of it goes. */
static void schedule(struct live_log *log)
{
    uint64_t due = log->written_at + LIVE_LOG_PAUSE;

    if (!log->written_at || due <= loop_now(log->loop))
        loop_defer(log->loop, &log->flush);
    else
        timer_start(&log->pause, due);
}

void live_log_line(struct live_log *log, const char *line, size_t length)
{
    if (length > sizeof log->buffer - 1)
        length = sizeof log->buffer - 1;
    if (length + 1 > sizeof log->buffer - log->size)
        flush(log);
    if (!log->size)
        schedule(log);
    memcpy(log->buffer + log->size, line, length);
    log->size += length;
    log->buffer[log->size++] = '\n';
    log->lines++;
}
