/* What the tests of the store share: a folder of their own with a store in it. */
#pragma once

#include "net_test.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <sqlite3.h>

#include "control/store.h"

static char folder[64], error[512];
static struct loop *loop;
static struct store *store;

static inline const char *below(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static inline int set_up(void **state)
{
    *error = 0;
    store = NULL;
    strcpy(folder, "/tmp/streamplex-store-XXXXXX");
    return mkdtemp(folder) && loop_new(&loop) == 0 ? 0 : -1;
}

static inline int tear_down(void **state)
{
    store_close(store);
    loop_free(loop);
    DIR *entries = opendir(folder);
    for (struct dirent *entry; entries && (entry = readdir(entries));)
        if (entry->d_name[0] != '.')
            unlink(below(entry->d_name));
    closedir(entries);
    return rmdir(folder);
}

static inline void open_store(void)
{
    if (store_open(folder, loop, &store, error, sizeof error) < 0)
        fail_msg("%s", error);
}

static inline void close_store(void)
{
    store_close(store);
    store = NULL;
}

struct done {
    int count, failed;
    char last_error[256];
};

static inline void on_done(void *user, const char *sentence)
{
    struct done *done = user;
    done->count++;
    done->failed += sentence != NULL;
    if (sentence)
        snprintf(done->last_error, sizeof done->last_error, "%s", sentence);
}

struct expected {
    const struct done *done;
    int count;
};

static inline bool has_come(void *user)
{
    const struct expected *expected = user;
    return expected->done->count >= expected->count;
}

static inline void wait_for(const struct done *done, int count)
{
    struct expected expected = {done, count};
    test_run_until(loop, has_come, &expected);
    assert_int_equal(done->count, count);
}

/* The same one for the same number. */
static inline void store_test_uuid(uint64_t number, char ret_uuid[UUID_SIZE])
{
    snprintf(ret_uuid, UUID_SIZE, "%08x-0000-4000-8000-000000000000", (unsigned)number);
}

static inline sqlite3 *change_and_keep(const char *text)
{
    sqlite3 *database;
    assert_int_equal(sqlite3_open(below("streamplex.db"), &database), SQLITE_OK);
    assert_int_equal(sqlite3_exec(database, text, NULL, NULL, NULL), SQLITE_OK);
    return database;
}

static inline void change_with_sqlite(const char *text)
{
    sqlite3_close(change_and_keep(text));
}
