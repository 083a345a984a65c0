#include <stdio.h>
#include <stdlib.h>

#include "control/access_json.h"
#include "control/store_internal.h"

static int put(struct store_file *file, const struct store_job *job)
{
    const struct socket_facts *facts = job->value.facts;
    char *access = facts->access ? access_json_format(facts->access) : NULL;
    if (facts->access && !access)
        return SQLITE_NOMEM;
    struct store_binding binding = store_bind(file, STORE_PUT_SOCKET);
    store_bind_number(&binding, facts->id);
    store_bind_text(&binding, facts->owner);
    store_bind_text(&binding, facts->name);
    store_bind_text(&binding, socket_type_name(facts->type));
    store_bind_text(&binding, facts->hostname);
    store_bind_number(&binding, facts->port);
    store_bind_number(&binding, facts->created);
    store_bind_number(&binding, facts->https_only);
    store_bind_text(&binding, facts->host_header);
    store_bind_text(&binding, facts->uuid);
    store_bind_text(&binding, facts->description);
    store_bind_text(&binding, access);
    int result = store_bind_run(&binding);
    free(access);
    return result;
}

static void release(struct store_job *job)
{
    socket_facts_unref(job->value.facts);
}

int store_put_socket(struct store *store, struct socket_facts *facts, store_on_done *on_done,
                     void *user)
{
    struct store_job job = {.run = put,
                            .release = release,
                            .value.facts = socket_facts_ref(facts),
                            .on_done = on_done,
                            .user = user};
    return store_ask(store, &job);
}

static int run_remove(struct store_file *file, const struct store_job *job)
{
    struct store_binding binding = store_bind(file, STORE_REMOVE_SOCKET);
    store_bind_number(&binding, job->value.id);
    return store_bind_run(&binding);
}

int store_remove_socket(struct store *store, uint64_t id, store_on_done *on_done, void *user)
{
    struct store_job job = {.run = run_remove, .value.id = id, .on_done = on_done, .user = user};
    return store_ask(store, &job);
}

/* --- Loading --- */

/* The row's type and access into the values. */
static int read_rest(const struct store_query *query, sqlite3_stmt *row,
                     struct socket_facts *values)
{
    const char *type = store_row_text(row, 3), *access = store_row_text(row, 11);
    int parsed = type ? socket_type_parse(type) : -1;
    if (type && parsed < 0) {
        snprintf(query->error, query->error_size,
                 "the database has a socket of the unknown type \"%.40s\"", type);
        return -1;
    }
    values->type = (enum socket_type)parsed;
    if (type && (!access || access_json_parse(access, &values->access) == 0))
        return 0;
    snprintf(query->error, query->error_size, "the rules of access of socket %s can't be read",
             values->uuid);
    return -1;
}

/* The row's texts are never NULL, but those that may be. NULL with a sentence. */
static struct socket_facts *read_row(const struct store_query *query, sqlite3_stmt *row)
{
    struct socket_facts values = {
        .id = store_row_number(row, 0),
        .owner = (char *)store_row_text(row, 1),
        .name = (char *)store_row_text(row, 2),
        .hostname = (char *)store_row_text(row, 4),
        .port = (uint16_t)store_row_number(row, 5),
        .created = store_row_number(row, 6),
        .https_only = store_row_number(row, 7),
        .host_header = (char *)store_row_text(row, 8),
        .description = (char *)store_row_text(row, 10),
    };
    struct socket_facts *facts = NULL;
    bool has_uuid = store_row_copy(row, 9, values.uuid, sizeof values.uuid);
    if (read_rest(query, row, &values) < 0)
        return NULL;
    if (has_uuid && values.owner && values.name && values.hostname)
        facts = socket_facts_new(&values);
    if (!facts)
        snprintf(query->error, query->error_size, "out of memory");
    socket_access_free(values.access);
    return facts;
}

struct each_socket {
    int (*each)(void *user, struct socket_facts *facts);
};

static int take_row(struct store_query *query, sqlite3_stmt *row)
{
    const struct each_socket *each = query->each;
    struct socket_facts *facts = read_row(query, row);
    int ended = facts ? each->each(query->user, facts) : -1;
    socket_facts_unref(facts);
    return ended;
}

int store_load_sockets(struct store *store, int (*each)(void *user, struct socket_facts *facts),
                       void *user, char *error, size_t error_size)
{
    struct each_socket called = {each};
    struct store_query query = {
        .text = "SELECT id, owner, name, type, hostname, port, created, https_only, host_header,"
                " uuid, description, access FROM sockets ORDER BY id",
        .what = "the sockets",
        .row = take_row,
        .each = &called,
        .user = user,
        .error = error,
        .error_size = error_size,
    };
    return store_query_run(store, &query);
}
