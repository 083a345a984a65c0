#include <stdio.h>

#include "control/store_internal.h"

static int put(struct store_file *file, const struct store_job *job)
{
    const struct stored_tunnel *tunnel = &job->value.tunnel;
    struct store_binding binding = store_bind(file, STORE_PUT_TUNNEL);
    store_bind_number(&binding, tunnel->id);
    store_bind_text(&binding, tunnel->uuid);
    store_bind_number(&binding, tunnel->socket);
    store_bind_number(&binding, tunnel->created);
    return store_bind_run(&binding);
}

int store_put_tunnel(struct store *store, const struct stored_tunnel *tunnel,
                     store_on_done *on_done, void *user)
{
    struct store_job job = {.run = put, .value.tunnel = *tunnel, .on_done = on_done, .user = user};
    return store_ask(store, &job);
}

static int run_remove(struct store_file *file, const struct store_job *job)
{
    struct store_binding binding = store_bind(file, STORE_REMOVE_TUNNEL);
    store_bind_number(&binding, job->value.id);
    return store_bind_run(&binding);
}

int store_remove_tunnel(struct store *store, uint64_t id, store_on_done *on_done, void *user)
{
    struct store_job job = {.run = run_remove, .value.id = id, .on_done = on_done, .user = user};
    return store_ask(store, &job);
}

struct each_tunnel {
    int (*each)(void *user, const struct stored_tunnel *tunnel);
};

static int take_row(struct store_query *query, sqlite3_stmt *row)
{
    const struct each_tunnel *each = query->each;
    struct stored_tunnel tunnel = {.id = store_row_number(row, 0),
                                   .socket = store_row_number(row, 2),
                                   .created = store_row_number(row, 3)};
    if (store_row_copy(row, 1, tunnel.uuid, sizeof tunnel.uuid))
        return each->each(query->user, &tunnel);
    snprintf(query->error, query->error_size, "out of memory");
    return -1;
}

int store_load_tunnels(struct store *store,
                       int (*each)(void *user, const struct stored_tunnel *tunnel), void *user,
                       char *error, size_t error_size)
{
    struct each_tunnel called = {each};
    struct store_query query = {
        .text = "SELECT id, uuid, socket, created FROM tunnels ORDER BY id",
        .what = "the tunnels",
        .row = take_row,
        .each = &called,
        .user = user,
        .error = error,
        .error_size = error_size,
    };
    return store_query_run(store, &query);
}
