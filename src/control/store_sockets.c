#include "control/store_internal.h"

#include <stdio.h>

int store_sockets_put(struct store_file *file, const struct store_job *job)
{
    sqlite3_stmt *put = file->statements[STORE_PUT_SOCKET];
    const struct socket_facts *facts = job->facts;
    /* Borrowed until the statement has run. */
    int bound[] = {
        sqlite3_bind_int64(put, 1, (sqlite3_int64)facts->id),
        sqlite3_bind_text(put, 2, facts->owner, -1, SQLITE_STATIC),
        sqlite3_bind_text(put, 3, facts->name, -1, SQLITE_STATIC),
        sqlite3_bind_text(put, 4, socket_type_name(facts->type), -1, SQLITE_STATIC),
        sqlite3_bind_text(put, 5, facts->hostname, -1, SQLITE_STATIC),
        sqlite3_bind_int(put, 6, facts->port),
        sqlite3_bind_int64(put, 7, (sqlite3_int64)facts->created),
        sqlite3_bind_int(put, 8, facts->https_only),
        sqlite3_bind_text(put, 9, facts->host_header, -1, SQLITE_STATIC), /* NULL is NULL there */
    };
    int result = SQLITE_OK;
    for (size_t i = 0; i < sizeof bound / sizeof bound[0] && result == SQLITE_OK; i++)
        result = bound[i];
    if (result == SQLITE_OK)
        result = store_file_run(file, STORE_PUT_SOCKET);
    (void)sqlite3_clear_bindings(put);
    return result;
}

int store_sockets_remove(struct store_file *file, const struct store_job *job)
{
    int result =
        sqlite3_bind_int64(file->statements[STORE_REMOVE_SOCKET], 1, (sqlite3_int64)job->id);
    return result == SQLITE_OK ? store_file_run(file, STORE_REMOVE_SOCKET) : result;
}

/* NULL: no memory, or a type that isn't known. The row's texts are never NULL, but the last. */
static struct socket_facts *read_row(sqlite3_stmt *row, char *error, size_t error_size)
{
    struct socket_facts values = {
        .id = (uint64_t)sqlite3_column_int64(row, 0),
        .owner = (char *)sqlite3_column_text(row, 1),
        .name = (char *)sqlite3_column_text(row, 2),
        .hostname = (char *)sqlite3_column_text(row, 4),
        .port = (uint16_t)sqlite3_column_int(row, 5),
        .created = (uint64_t)sqlite3_column_int64(row, 6),
        .https_only = sqlite3_column_int(row, 7),
        .host_header = (char *)sqlite3_column_text(row, 8),
    };
    const char *type_text = (const char *)sqlite3_column_text(row, 3);
    struct socket_facts *facts = NULL;
    int type = type_text ? socket_type_parse(type_text) : -1;
    if (type_text && type < 0) {
        snprintf(error, error_size, "the database has a socket of the unknown type \"%.40s\"",
                 type_text);
        return NULL;
    }
    values.type = (enum socket_type)type;
    if (type_text && values.owner && values.name && values.hostname)
        facts = socket_facts_new(&values);
    if (!facts)
        snprintf(error, error_size, "out of memory");
    return facts;
}

int store_sockets_load(struct store_file *file, int (*each)(void *user, struct socket_facts *facts),
                       void *user, char *error, size_t error_size)
{
    sqlite3_stmt *row;
    int ended = 0;
    int result = sqlite3_prepare_v2(file->database,
                                    "SELECT id, owner, name, type, hostname, port, created, "
                                    "https_only, host_header FROM sockets ORDER BY id",
                                    -1, &row, NULL);
    while (result == SQLITE_OK && !ended && (result = sqlite3_step(row)) == SQLITE_ROW) {
        struct socket_facts *facts = read_row(row, error, error_size);
        ended = facts ? each(user, facts) : -1;
        socket_facts_unref(facts);
        result = SQLITE_OK;
    }
    sqlite3_finalize(row);
    if (result == SQLITE_OK || result == SQLITE_DONE)
        return ended ? -1 : 0;
    snprintf(error, error_size, "can't read the sockets: %s", sqlite3_errmsg(file->database));
    return -1;
}

int store_sockets_last(struct store_file *file, uint64_t *ret_id)
{
    sqlite3_stmt *row;
    int result = sqlite3_prepare_v2(
        file->database, "SELECT seq FROM sqlite_sequence WHERE name = 'sockets'", -1, &row, NULL);
    if (result != SQLITE_OK)
        return result;
    result = sqlite3_step(row);
    *ret_id = result == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(row, 0) : 0;
    sqlite3_finalize(row);
    return result == SQLITE_ROW || result == SQLITE_DONE ? SQLITE_OK : result;
}
