/* What the store's files share.
 *
 *   store.c           the thread, its queue, and who is told
 *   store_file.c      the folder's lock, opening a database, and what may be wrong with one
 *   store_schema.c    the tables, version by version: a new table is a new version there
 *   store_sockets.c   the statements about sockets
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sqlite3.h>

#include "control/store.h"

#define STORE_ERROR_SIZE 256

enum store_statement {
    STORE_BEGIN,
    STORE_COMMIT,
    STORE_ROLLBACK,
    STORE_PUT_SOCKET,
    STORE_REMOVE_SOCKET,
    STORE_STATEMENTS /* how many there are */
};

struct store_file {
    sqlite3 *database;
    sqlite3_stmt *statements[STORE_STATEMENTS];
    int lock; /* descriptor */
};

/* A change that was asked for; heap, a message to the loop when it is done. */
struct store_job {
    struct loop_message message; /* first */
    struct store_job *next;
    struct store *store;
    int (*run)(struct store_file *file, const struct store_job *job); /* an SQLite result */
    struct socket_facts *facts;                                       /* reference, or NULL */
    uint64_t id;
    store_on_done *on_done;
    void *user;
    char error[STORE_ERROR_SIZE]; /* "": none */
};

/* 0, or -1 with a sentence; nothing is left open then. */
int store_file_open(const char *folder, struct store_file *ret_file, char *error, size_t error_size)
    __attribute__((warn_unused_result));
void store_file_close(struct store_file *file);
/* Runs a statement without rows, and resets it. An SQLite result, SQLITE_OK when all went well. */
int store_file_run(struct store_file *file, enum store_statement statement)
    __attribute__((warn_unused_result));

/* What a database says of its version: 0 for an empty one, negative for one of another program.
 * An SQLite result. */
int store_schema_read(sqlite3 *database, int *ret_version) __attribute__((warn_unused_result));
int store_schema_newest(void);
/* Each missing version in a transaction of its own. An SQLite result. */
int store_schema_upgrade(sqlite3 *database, int version) __attribute__((warn_unused_result));

int store_sockets_put(struct store_file *file, const struct store_job *job)
    __attribute__((warn_unused_result));
int store_sockets_remove(struct store_file *file, const struct store_job *job)
    __attribute__((warn_unused_result));
/* As store_load_sockets(). */
int store_sockets_load(struct store_file *file, int (*each)(void *user, struct socket_facts *facts),
                       void *user, char *error, size_t error_size)
    __attribute__((warn_unused_result));
int store_sockets_last(struct store_file *file, uint64_t *ret_id)
    __attribute__((warn_unused_result));
