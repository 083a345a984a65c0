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

    /* a socket that is there already gets a random uuid, of version 4 */
    "ALTER TABLE sockets ADD COLUMN uuid TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE sockets ADD COLUMN description TEXT;"
    "ALTER TABLE sockets ADD COLUMN access TEXT;" /* JSON, access_json.h */
    "UPDATE sockets SET uuid = lower(hex(randomblob(4))) || '-' || lower(hex(randomblob(2))) ||"
    " '-4' || substr(lower(hex(randomblob(2))), 2) || '-' ||"
    " substr('89ab', 1 + (random() & 3), 1) || substr(lower(hex(randomblob(2))), 2) || '-' ||"
    " lower(hex(randomblob(6)));"
    "CREATE UNIQUE INDEX sockets_uuid ON sockets (uuid);"

    "CREATE TABLE accounts ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " uuid TEXT NOT NULL UNIQUE,"
    " email TEXT NOT NULL," /* as given */
    " name TEXT NOT NULL,"
    " sshkey TEXT,"
    " password_hash TEXT NOT NULL,"
    " gen INTEGER NOT NULL,"
    " state TEXT NOT NULL,"
    " created INTEGER NOT NULL,"
    " confirm TEXT NOT NULL,"
    " quota INTEGER NOT NULL) STRICT;"
    "CREATE UNIQUE INDEX accounts_email ON accounts (lower(email));"

    "CREATE TABLE denied_logins ("
    " jti TEXT PRIMARY KEY,"
    " expires INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE INDEX denied_logins_expires ON denied_logins (expires);"

    "CREATE TABLE device_tokens ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " uuid TEXT NOT NULL UNIQUE,"
    " account INTEGER NOT NULL REFERENCES accounts ON DELETE CASCADE,"
    " name TEXT NOT NULL,"
    " digest BLOB NOT NULL UNIQUE,"
    " egress_allow TEXT,"
    " egress_deny TEXT,"
    " sockets TEXT,"
    " max_tunnels INTEGER NOT NULL,"
    " max_substreams INTEGER NOT NULL,"
    " bytes_per_second INTEGER NOT NULL,"
    " bytes_per_month INTEGER NOT NULL,"
    " created INTEGER NOT NULL,"
    " expires INTEGER NOT NULL,"
    " last_used INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE INDEX device_tokens_account ON device_tokens (account);"

    "CREATE TABLE tunnels ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " uuid TEXT NOT NULL UNIQUE,"
    " socket INTEGER NOT NULL REFERENCES sockets ON DELETE CASCADE,"
    " created INTEGER NOT NULL) STRICT;"
    "CREATE INDEX tunnels_socket ON tunnels (socket);"

    "CREATE TABLE usage ("
    " owner TEXT NOT NULL,"
    " month INTEGER NOT NULL,"
    " bytes INTEGER NOT NULL,"
    " PRIMARY KEY (owner, month)) STRICT, WITHOUT ROWID;",
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

int store_schema_last_id(sqlite3 *database, const char *table, uint64_t *ret_id)
{
    sqlite3_stmt *row;
    int result = sqlite3_prepare_v2(database, "SELECT seq FROM sqlite_sequence WHERE name = ?1", -1,
                                    &row, NULL);
    if (result == SQLITE_OK)
        result = sqlite3_bind_text(row, 1, table, -1, SQLITE_STATIC);
    if (result == SQLITE_OK) {
        result = sqlite3_step(row);
        *ret_id = result == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(row, 0) : 0;
    }
    sqlite3_finalize(row);
    return result == SQLITE_ROW || result == SQLITE_DONE ? SQLITE_OK : result;
}
