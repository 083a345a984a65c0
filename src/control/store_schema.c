#include "control/store_internal.h"

#include <stdio.h>

/* Version n is what the first n of these make. One that has been released is never changed. */
static const char *const versions[] = {
    /* AUTOINCREMENT: the id of a socket that is no more isn't given again */
    "CREATE TABLE sockets ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " owner TEXT NOT NULL,"
    " name TEXT NOT NULL,"
    " type TEXT NOT NULL,"
    " hostname TEXT NOT NULL,"
    " port INTEGER NOT NULL,"
    " created INTEGER NOT NULL,"
    " https_only INTEGER NOT NULL,"
    " host_header TEXT,"
    " UNIQUE (owner, name)) STRICT;"
    "CREATE UNIQUE INDEX sockets_hostname ON sockets (hostname) WHERE port = 0;"
    "CREATE UNIQUE INDEX sockets_port ON sockets (port) WHERE port != 0;",
};

int store_schema_newest(void)
{
    return (int)(sizeof versions / sizeof versions[0]);
}

/* The first column of the first row. */
static int read_number(sqlite3 *database, const char *query, int *ret_number)
{
    sqlite3_stmt *statement;
    int result = sqlite3_prepare_v2(database, query, -1, &statement, NULL);
    if (result != SQLITE_OK)
        return result;
    result = sqlite3_step(statement);
    if (result == SQLITE_ROW) {
        *ret_number = sqlite3_column_int(statement, 0);
        result = SQLITE_OK;
    }
    sqlite3_finalize(statement);
    return result;
}

int store_schema_read(sqlite3 *database, int *ret_version)
{
    int tables = 0, ours = 0;
    int result = read_number(database, "SELECT count(*) FROM sqlite_schema", &tables);
    if (result == SQLITE_OK)
        result = read_number(database,
                             "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND "
                             "name = 'schema_version'",
                             &ours);
    if (result != SQLITE_OK)
        return result;
    *ret_version = tables ? -1 : 0;
    return ours ? read_number(database, "SELECT version FROM schema_version", ret_version)
                : SQLITE_OK;
}

static int run(sqlite3 *database, const char *text)
{
    return sqlite3_exec(database, text, NULL, NULL, NULL);
}

static int upgrade_one(sqlite3 *database, int version)
{
    char note[80];
    int result = run(database, "BEGIN IMMEDIATE");
    snprintf(note, sizeof note, "UPDATE schema_version SET version = %d", version);
    if (result == SQLITE_OK && version == 1)
        result = run(database, "CREATE TABLE schema_version (version INTEGER NOT NULL) STRICT;"
                               "INSERT INTO schema_version VALUES (0)");
    if (result == SQLITE_OK)
        result = run(database, versions[version - 1]);
    if (result == SQLITE_OK)
        result = run(database, note);
    if (result == SQLITE_OK)
        result = run(database, "COMMIT");
    if (result != SQLITE_OK && !sqlite3_get_autocommit(database))
        (void)run(database, "ROLLBACK");
    return result;
}

int store_schema_upgrade(sqlite3 *database, int version)
{
    int result = SQLITE_OK;
    while (result == SQLITE_OK && version < store_schema_newest())
        result = upgrade_one(database, ++version);
    return result;
}
