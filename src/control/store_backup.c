#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/store_internal.h"

/* Pages of the one database into the other, and no log beside it: one file is the whole. */
static int copy_pages(sqlite3 *from, sqlite3 *to)
{
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
    if (!backup)
        return sqlite3_errcode(to);
    (void)sqlite3_backup_step(backup, -1); /* finishing says what went wrong */
    int result = sqlite3_backup_finish(backup);
    if (result == SQLITE_OK)
        result = sqlite3_exec(to, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
    return result;
}

static int copy_database(const struct store_file *file, struct store_job *job)
{
    sqlite3 *copy;
    int result = sqlite3_open_v2(job->value.file, &copy, SQLITE_OPEN_READWRITE, NULL);
    if (result == SQLITE_OK)
        result = copy_pages(file->database, copy);
    if (result != SQLITE_OK)
        snprintf(job->error, sizeof job->error, "can't write %.120s: %.100s", job->value.file,
                 copy ? sqlite3_errmsg(copy) : sqlite3_errstr(result));
    sqlite3_close(copy);
    return result == SQLITE_OK ? 0 : -1;
}

/* The name, too, is on disk. */
static int sync_folder(struct store_job *job)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s", job->value.file);
    int fd = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = fd < 0 ? -1 : fsync(fd);
    if (result < 0)
        snprintf(job->error, sizeof job->error, "can't sync the folder of %.150s: %s",
                 job->value.file, strerror(errno));
    if (fd >= 0)
        close(fd);
    return result;
}

static void back_up(struct store_file *file, struct store_job *job)
{
    int fd = open(job->value.file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        snprintf(job->error, sizeof job->error, "can't make %.150s: %s", job->value.file,
                 strerror(errno));
        return;
    }
    close(fd);
    if (copy_database(file, job) < 0 || sync_folder(job) < 0)
        (void)unlink(job->value.file);
}

static void release(struct store_job *job)
{
    free(job->value.file);
}

int store_backup(struct store *store, const char *file, store_on_done *on_done, void *user)
{
    struct store_job job = {.run_alone = back_up,
                            .release = release,
                            .value.file = strdup(file),
                            .on_done = on_done,
                            .user = user};
    return job.value.file ? store_ask(store, &job) : STORE_MEMORY;
}
