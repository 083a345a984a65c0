#include "agent/live_log.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "agent/complain.h"

void live_log_init(struct live_log *log, int fd)
{
    *log = (struct live_log){.fd = fd};
}

/* A pipe that polls as writable takes PIPE_BUF bytes whole without waiting. */
static bool write_line(const struct live_log *log, const char *line, size_t length)
{
    struct pollfd poll_fd = {.fd = log->fd, .events = POLLOUT};
    char buffer[PIPE_BUF];

    if (length > sizeof buffer - 1)
        length = sizeof buffer - 1;
    memcpy(buffer, line, length);
    buffer[length++] = '\n';
    if (poll(&poll_fd, 1, 0) != 1 || !(poll_fd.revents & POLLOUT))
        return false;
    ssize_t written;
    do
        written = write(log->fd, buffer, length);
    while (written < 0 && errno == EINTR);
    return written == (ssize_t)length;
}

void live_log_line(struct live_log *log, const char *line, size_t length)
{
    if (log->missed) {
        /* On the other stream: whoever parses this one finds only what it knows. */
        if (!write_line(log, line, length)) {
            log->missed++;
            return;
        }
        complain_write("connect", "%llu lines of the log were not read in time",
                       (unsigned long long)log->missed);
        log->missed = 0;
        return;
    }
    if (!write_line(log, line, length))
        log->missed++;
}
