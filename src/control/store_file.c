#include "control/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

/* Milliseconds: somebody else looks at the database with a tool of theirs. */
#define BUSY_TIME 5000

struct opening {
    char *error;
    size_t error_size;
    char path[PATH_MAX];
};

static int __attribute__((format(printf, 2, 3)))
fail(const struct opening *opening, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(opening->error, opening->error_size, format, arguments);
    va_end(arguments);
    return -1;
}

static int make_path(struct opening *opening, const char *folder, const char *name)
{
    int length = snprintf(opening->path, sizeof opening->path, "%s/%s", folder, name);
    if (length < 0 || (size_t)length >= sizeof opening->path)
        return fail(opening, "the state folder's name is too long");
    return 0;
}

/* The holder's process id stands in the file for who is refused. */
static void tell_holder(const struct opening *opening, int fd, const char *folder)
{
    char digits[24] = "";
    ssize_t length = pread(fd, digits, sizeof digits - 1, 0);
    long holder = length > 0 ? strtol(digits, NULL, 10) : 0;
    if (holder > 0)
        (void)fail(opening, "another server (process %ld) works on the state folder %s", holder,
                   folder);
    else
        (void)fail(opening, "another server works on the state folder %s", folder);
}

/* flock(2): the kernel gives it back however the process ends. */
static int take_lock(struct opening *opening, const char *folder, int *ret_lock)
{
    char digits[24];
    if (make_path(opening, folder, "streamplex.lock") < 0)
        return -1;
    int fd = open(opening->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fail(opening, "can't open %s: %s", opening->path, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno == EWOULDBLOCK)
            tell_holder(opening, fd, folder);
        else
            (void)fail(opening, "can't lock %s: %s", opening->path, strerror(errno));
        close(fd);
        return -1;
    }
    int length = snprintf(digits, sizeof digits, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) < 0 || pwrite(fd, digits, (size_t)length, 0) < 0)
        log_write(LOG_WARNING, LOG_FIELDS(LOG_TEXT("error", strerrorname_np(errno))),
                  "can't note the process id in %s", opening->path);
    *ret_lock = fd;
    return 0;
}

/* SQLite would make the file readable for all that the umask lets; what is beside it takes its
 * rights from it. The folder is synced, or the name may be lost with the power. */
static int ensure_file(struct opening *opening, const char *folder)
{
    if (make_path(opening, folder, "streamplex.db") < 0)
        return -1;
    int fd = open(opening->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fail(opening, "can't open %s: %s", opening->path, strerror(errno));
    close(fd);
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0) {
        (void)fail(opening, "can't sync the folder %s: %s", folder, strerror(errno));
        if (fd >= 0)
            close(fd);
        return -1;
    }
    close(fd);
    return 0;
}

static int fail_database(const struct opening *opening, const struct store_file *file, int result)
{
    switch (result & 0xff) {
    case SQLITE_NOTADB:
        return fail(opening, "%s is not a database; it is left as it is", opening->path);
    case SQLITE_CORRUPT:
        return fail(opening, "the database %s is damaged; it is left as it is", opening->path);
    default:
        return fail(opening, "can't use the database %s: %s", opening->path,
                    sqlite3_errmsg(file->database));
    }
}

/* The first column of the first row is `wanted`? An SQLite result, SQLITE_MISMATCH when not. */
static int expect_text(sqlite3 *database, const char *query, const char *wanted)
{
    sqlite3_stmt *statement;
    int result = sqlite3_prepare_v2(database, query, -1, &statement, NULL);
    if (result != SQLITE_OK)
        return result;
    result = sqlite3_step(statement);
    if (result == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(statement, 0);
        result = text && strcmp(text, wanted) == 0 ? SQLITE_OK : SQLITE_MISMATCH;
    }
    sqlite3_finalize(statement);
    return result;
}

/* Before a byte is written: is it ours, whole, and not of a later version? */
static int judge(const struct opening *opening, const struct store_file *file, int *ret_version)
{
    int result = store_schema_read(file->database, ret_version);
    if (result == SQLITE_OK)
        result = expect_text(file->database, "PRAGMA quick_check(1)", "ok");
    if (result == SQLITE_MISMATCH)
        result = SQLITE_CORRUPT;
    if (result != SQLITE_OK)
        return fail_database(opening, file, result);
    if (*ret_version < 0)
        return fail(opening, "%s is a database of another program; it is left as it is",
                    opening->path);
    if (*ret_version > store_schema_newest())
        return fail(opening,
                    "the database %s is of a newer version of streamplex (%d, this one knows %d); "
                    "it is left as it is",
                    opening->path, *ret_version, store_schema_newest());
    return 0;
}

/* Acknowledged is on disk: each commit of the write-ahead log is synced. */
static int set_up(const struct opening *opening, const struct store_file *file, int version)
{
    sqlite3 *database = file->database;
    int result = expect_text(database, "PRAGMA journal_mode = WAL", "wal");
    if (result == SQLITE_MISMATCH)
        return fail(opening, "the file system of %s is not fit for a database", opening->path);
    if (result == SQLITE_OK)
        result = sqlite3_exec(database, "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON", NULL,
                              NULL, NULL);
    if (result == SQLITE_OK)
        result = store_schema_upgrade(database, version);
    return result == SQLITE_OK ? 0 : fail_database(opening, file, result);
}

static int open_database(struct opening *opening, struct store_file *file)
{
    int version;
    int result =
        sqlite3_open_v2(opening->path, &file->database,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX | SQLITE_OPEN_NOFOLLOW, NULL);
    if (result != SQLITE_OK)
        return fail_database(opening, file, result);
    /* What a crash left in the log is moved only by who may write. */
    sqlite3_db_config(file->database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_busy_timeout(file->database, BUSY_TIME);
    if (judge(opening, file, &version) < 0 || set_up(opening, file, version) < 0)
        return -1;
    result = store_statement_prepare(file);
    if (result != SQLITE_OK)
        return fail_database(opening, file, result);
    sqlite3_db_config(file->database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
    return 0;
}

int store_file_open(const char *folder, struct store_file *ret_file, char *error, size_t error_size)
{
    struct opening opening = {.error = error, .error_size = error_size};
    struct store_file file = {.lock = -1};
    if (take_lock(&opening, folder, &file.lock) < 0)
        return -1;
    if (ensure_file(&opening, folder) < 0 || open_database(&opening, &file) < 0) {
        store_file_close(&file);
        return -1;
    }
    *ret_file = file;
    return 0;
}

void store_file_close(struct store_file *file)
{
    for (int i = 0; i < STORE_STATEMENTS; i++)
        sqlite3_finalize(file->statements[i]);
    sqlite3_close(file->database);
    if (file->lock >= 0)
        close(file->lock);
    *file = (struct store_file){.lock = -1};
}
