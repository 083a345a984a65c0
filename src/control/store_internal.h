/* What the store's files share.
 *
 *   store.c             the thread, its queue, and who is told
 *   store_file.c        the folder's lock, opening a database, and what may be wrong with one
 *   store_schema.c      the tables, version by version: a new table is a new version there
 *   store_statement.c   values into statements, rows out of them
 *   store_sockets.c     a kind of things each: its changes, its statements, and how it is loaded
 *   store_accounts.c
 *   store_tokens.c
 *   store_logins.c
 *   store_tunnels.c
 *   store_usage.c
 *   store_backup.c
 *
 * To add a kind: its table in store_schema.c, its statements in the list here and in
 * store_statement.c, its values in struct store_job, and a file like store_tunnels.c.
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
    STORE_PUT_ACCOUNT,
    STORE_REMOVE_ACCOUNT,
    STORE_REMOVE_USAGE,
    STORE_PUT_TOKEN,
    STORE_REMOVE_TOKEN,
    STORE_USE_TOKEN,
    STORE_DENY_LOGIN,
    STORE_FORGET_LOGINS,
    STORE_PUT_TUNNEL,
    STORE_REMOVE_TUNNEL,
    STORE_ADD_USAGE,
    STORE_STATEMENTS /* how many there are */
};

struct store_file {
    sqlite3 *database;
    sqlite3_stmt *statements[STORE_STATEMENTS];
    int lock; /* descriptor */
};

struct stored_denial {
    char jti[STORE_JTI_MAX + 1];
    uint64_t expires, now;
};

struct stored_list {
    void *items;
    size_t count;
};

/* A change that was asked for; heap, a message to the loop when it is done. */
struct store_job {
    struct loop_message message; /* first */
    struct store_job *next;
    struct store *store;
    struct store_job *later, *earlier; /* of those that were asked for; the loop's thread alone */
    int (*run)(struct store_file *file, const struct store_job *job); /* an SQLite result */
    /* In its place, not within a transaction: what is written to `error` is what went wrong. */
    void (*run_alone)(struct store_file *file, struct store_job *job);
    void (*release)(struct store_job *job); /* of what the value holds; NULL: nothing */
    union {
        uint64_t id;
        struct socket_facts *facts;
        struct account *account;
        struct device_token *token;
        struct stored_denial denial;
        struct stored_tunnel tunnel;
        struct stored_list list;
        char *file;
    } value;
    store_on_done *on_done;
    void *user;
    char error[STORE_ERROR_SIZE]; /* "": none */
};

/* Queues a copy of the job, with what its value holds: released here when it can't be. 0 or an enum
 * store_error. */
int store_ask(struct store *store, struct store_job *values) __attribute__((warn_unused_result));
void store_release_list(struct store_job *job); /* of a value.list whose items are one block */

/* The file, for reading while no change is under way. */
struct store_file *store_lock(struct store *store);
void store_unlock(struct store *store);

/* 0, or -1 with a sentence; nothing is left open then. */
int store_file_open(const char *folder, struct store_file *ret_file, char *error, size_t error_size)
    __attribute__((warn_unused_result));
void store_file_close(struct store_file *file);
/* Each statement of the list. An SQLite result. */
int store_statement_prepare(struct store_file *file) __attribute__((warn_unused_result));
/* Runs a statement without rows, and resets it. An SQLite result, SQLITE_OK when all went well. */
int store_file_run(struct store_file *file, enum store_statement statement)
    __attribute__((warn_unused_result));

/* Values for a statement, one after the other. They are borrowed until it has run. */
struct store_binding {
    struct store_file *file;
    enum store_statement statement;
    int count, result;
};
struct store_binding store_bind(struct store_file *file, enum store_statement statement);
void store_bind_number(struct store_binding *binding, uint64_t number);
void store_bind_text(struct store_binding *binding, const char *text); /* NULL is NULL there */
void store_bind_blob(struct store_binding *binding, const void *bytes, size_t size);
/* Runs it, and takes the values off. An SQLite result. */
int store_bind_run(struct store_binding *binding) __attribute__((warn_unused_result));

/* Rows of a query. */
struct store_query {
    const char *text;
    const char *what;                                            /* "the sockets" */
    int (*row)(struct store_query *query, sqlite3_stmt *values); /* other than 0 ends it */
    void *each, *user;                                           /* the row's own */
    char *error;                                                 /* a sentence goes there */
    size_t error_size;
};
/* 0, or -1 with a sentence, which is the row's affair where that ended it. */
int store_query_run(struct store *store, struct store_query *query)
    __attribute__((warn_unused_result));
uint64_t store_row_number(sqlite3_stmt *values, int column);
/* The text in place, cut to what has room; false when there is none. */
bool store_row_copy(sqlite3_stmt *values, int column, char *buffer, size_t size);
const char *store_row_text(sqlite3_stmt *values, int column); /* NULL is NULL */

/* What a database says of its version: 0 for an empty one, negative for one of another program.
 * An SQLite result. */
int store_schema_read(sqlite3 *database, int *ret_version) __attribute__((warn_unused_result));
int store_schema_newest(void);
/* Each missing version in a transaction of its own. An SQLite result. */
int store_schema_upgrade(sqlite3 *database, int version) __attribute__((warn_unused_result));
/* The highest id ever given in a table. An SQLite result. */
int store_schema_last_id(sqlite3 *database, const char *table, uint64_t *ret_id)
    __attribute__((warn_unused_result));
