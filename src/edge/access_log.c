#include "edge/access_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

struct access_log {
    atomic_int references;
    atomic_bool is_failing; /* the last line couldn't be written: that was said already */
    int fd;
    bool is_json;
};

int access_log_open(const char *file, bool is_json, struct access_log **ret_log, char *error,
                    size_t error_size)
{
    struct access_log *log = calloc(1, sizeof *log);
    if (!log) {
        snprintf(error, error_size, "out of memory");
        return -1;
    }
    /* O_NONBLOCK: a pipe that nobody reads must not hold the server up. */
    log->fd = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
    if (log->fd < 0) {
        snprintf(error, error_size, "the access log %s can't be opened: %s", file, strerror(errno));
        free(log);
        return -1;
    }
    atomic_init(&log->references, 1);
    log->is_json = is_json;
    *ret_log = log;
    return 0;
}

struct access_log *access_log_ref(struct access_log *log)
{
    if (log)
        atomic_fetch_add_explicit(&log->references, 1, memory_order_relaxed);
    return log;
}

void access_log_unref(struct access_log *log)
{
    if (!log || atomic_fetch_sub_explicit(&log->references, 1, memory_order_acq_rel) > 1)
        return;
    close(log->fd);
    free(log);
}

/* A full disk is said once, not once a visit. */
static void note_result(struct access_log *log, bool is_written, int code)
{
    bool was_failing =
        atomic_exchange_explicit(&log->is_failing, !is_written, memory_order_relaxed);
    if (!is_written && !was_failing)
        log_write(LOG_WARNING, LOG_FIELDS(LOG_TEXT("reason", strerror(code))),
                  "the access log can't be written; visits are missing in it");
}

void access_log_write(struct access_log *log, const struct visit_record *record)
{
    char line[VISIT_LINE_MAX + 1];
    if (!log)
        return;
    size_t length =
        log->is_json ? visit_record_json(record, line) : visit_record_access_line(record, line);
    line[length] = '\n';
    errno = ENOSPC; /* what a short write comes of */
    bool is_written = length && write(log->fd, line, length + 1) == (ssize_t)length + 1;
    note_result(log, is_written, length ? errno : ENOMEM);
}
