#include <stdio.h>
#include <string.h>

#include "control/store_internal.h"

static const char *const texts[STORE_STATEMENTS] = {
    [STORE_BEGIN] = "BEGIN IMMEDIATE",
    [STORE_COMMIT] = "COMMIT",
    [STORE_ROLLBACK] = "ROLLBACK",
    [STORE_PUT_SOCKET] =
        "INSERT INTO sockets (id, owner, name, type, hostname, port, created, https_only,"
        " host_header, uuid, description, access)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
        " ON CONFLICT (id) DO UPDATE SET owner = ?2, name = ?3, type = ?4, hostname = ?5,"
        " port = ?6, created = ?7, https_only = ?8, host_header = ?9, uuid = ?10,"
        " description = ?11, access = ?12",
    [STORE_REMOVE_SOCKET] = "DELETE FROM sockets WHERE id = ?1",
    [STORE_PUT_ACCOUNT] =
        "INSERT INTO accounts (id, uuid, email, name, sshkey, password_hash, gen, state, created,"
        " confirm, quota) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
        " ON CONFLICT (id) DO UPDATE SET uuid = ?2, email = ?3, name = ?4, sshkey = ?5,"
        " password_hash = ?6, gen = ?7, state = ?8, created = ?9, confirm = ?10, quota = ?11",
    [STORE_REMOVE_ACCOUNT] = "DELETE FROM accounts WHERE id = ?1",
    [STORE_REMOVE_USAGE] =
        "DELETE FROM usage WHERE owner = (SELECT uuid FROM accounts WHERE id = ?1)",
    [STORE_PUT_TOKEN] =
        "INSERT INTO device_tokens (id, uuid, account, name, digest, egress_allow, egress_deny,"
        " sockets, max_tunnels, max_substreams, bytes_per_second, bytes_per_month, created,"
        " expires) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)"
        " ON CONFLICT (id) DO UPDATE SET uuid = ?2, account = ?3, name = ?4, digest = ?5,"
        " egress_allow = ?6, egress_deny = ?7, sockets = ?8, max_tunnels = ?9,"
        " max_substreams = ?10, bytes_per_second = ?11, bytes_per_month = ?12, created = ?13,"
        " expires = ?14",
    [STORE_REMOVE_TOKEN] = "DELETE FROM device_tokens WHERE id = ?1",
    [STORE_USE_TOKEN] = "UPDATE device_tokens SET last_used = ?2 WHERE id = ?1",
    [STORE_DENY_LOGIN] = "INSERT INTO denied_logins (jti, expires) VALUES (?1, ?2)"
                         " ON CONFLICT (jti) DO UPDATE SET expires = max(expires, ?2)",
    [STORE_FORGET_LOGINS] = "DELETE FROM denied_logins WHERE expires <= ?1 - 86400",
    [STORE_PUT_TUNNEL] = "INSERT INTO tunnels (id, uuid, socket, created) VALUES (?1, ?2, ?3, ?4)"
                         " ON CONFLICT (id) DO UPDATE SET uuid = ?2, socket = ?3, created = ?4",
    [STORE_REMOVE_TUNNEL] = "DELETE FROM tunnels WHERE id = ?1",
    [STORE_ADD_USAGE] = "INSERT INTO usage (owner, month, bytes) VALUES (?1, ?2, ?3)"
                        " ON CONFLICT (owner, month) DO UPDATE SET bytes = bytes + ?3",
};

int store_statement_prepare(struct store_file *file)
{
    int result = SQLITE_OK;
    for (int i = 0; i < STORE_STATEMENTS && result == SQLITE_OK; i++)
        result = sqlite3_prepare_v3(file->database, texts[i], -1, SQLITE_PREPARE_PERSISTENT,
                                    &file->statements[i], NULL);
    return result;
}

int store_file_run(struct store_file *file, enum store_statement statement)
{
    sqlite3_stmt *prepared = file->statements[statement];
    int result = sqlite3_step(prepared);
    (void)sqlite3_reset(prepared); /* says what the step said */
    return result == SQLITE_DONE ? SQLITE_OK : result;
}

/* --- Values --- */

struct store_binding store_bind(struct store_file *file, enum store_statement statement)
{
    return (struct store_binding){.file = file, .statement = statement};
}

static void note(struct store_binding *binding, int result)
{
    if (binding->result == SQLITE_OK)
        binding->result = result;
}

void store_bind_number(struct store_binding *binding, uint64_t number)
{
    sqlite3_stmt *prepared = binding->file->statements[binding->statement];
    note(binding, sqlite3_bind_int64(prepared, ++binding->count, (sqlite3_int64)number));
}

void store_bind_text(struct store_binding *binding, const char *text)
{
    sqlite3_stmt *prepared = binding->file->statements[binding->statement];
    note(binding, sqlite3_bind_text(prepared, ++binding->count, text, -1, SQLITE_STATIC));
}

void store_bind_blob(struct store_binding *binding, const void *bytes, size_t size)
{
    sqlite3_stmt *prepared = binding->file->statements[binding->statement];
    note(binding, sqlite3_bind_blob64(prepared, ++binding->count, bytes, size, SQLITE_STATIC));
}

int store_bind_run(struct store_binding *binding)
{
    if (binding->result == SQLITE_OK)
        binding->result = store_file_run(binding->file, binding->statement);
    (void)sqlite3_clear_bindings(binding->file->statements[binding->statement]);
    return binding->result;
}

/* --- Rows --- */

static int run_query(const struct store_file *file, struct store_query *query)
{
    sqlite3_stmt *values;
    int ended = 0;
    int result = sqlite3_prepare_v2(file->database, query->text, -1, &values, NULL);
    while (result == SQLITE_OK && !ended && (result = sqlite3_step(values)) == SQLITE_ROW) {
        ended = query->row(query, values);
        result = SQLITE_OK;
    }
    sqlite3_finalize(values);
    if (result == SQLITE_OK || result == SQLITE_DONE)
        return ended ? -1 : 0;
    snprintf(query->error, query->error_size, "can't read %s: %s", query->what,
             sqlite3_errmsg(file->database));
    return -1;
}

int store_query_run(struct store *store, struct store_query *query)
{
    int result = run_query(store_lock(store), query);
    store_unlock(store);
    return result;
}

uint64_t store_row_number(sqlite3_stmt *values, int column)
{
    return (uint64_t)sqlite3_column_int64(values, column);
}

const char *store_row_text(sqlite3_stmt *values, int column)
{
    return (const char *)sqlite3_column_text(values, column);
}

bool store_row_copy(sqlite3_stmt *values, int column, char *buffer, size_t size)
{
    const char *text = store_row_text(values, column);
    snprintf(buffer, size, "%s", text ? text : "");
    return text;
}
