#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/accounts.h"
#include "control/store_internal.h"

static int put(struct store_file *file, const struct store_job *job)
{
    const struct device_token *token = job->value.token;
    struct store_binding binding = store_bind(file, STORE_PUT_TOKEN);
    store_bind_number(&binding, token->id);
    store_bind_text(&binding, token->uuid);
    store_bind_number(&binding, token->account);
    store_bind_text(&binding, token->name);
    store_bind_blob(&binding, token->digest, sizeof token->digest);
    store_bind_text(&binding, token->egress_allow);
    store_bind_text(&binding, token->egress_deny);
    store_bind_text(&binding, token->sockets);
    store_bind_number(&binding, token->max_tunnels);
    store_bind_number(&binding, token->max_substreams);
    store_bind_number(&binding, token->bytes_per_second);
    store_bind_number(&binding, token->bytes_per_month);
    store_bind_number(&binding, token->created);
    store_bind_number(&binding, token->expires);
    return store_bind_run(&binding);
}

static void release(struct store_job *job)
{
    device_token_unref(job->value.token);
}

int store_put_token(struct store *store, struct device_token *token, store_on_done *on_done,
                    void *user)
{
    struct store_job job = {.run = put,
                            .release = release,
                            .value.token = device_token_ref(token),
                            .on_done = on_done,
                            .user = user};
    return store_ask(store, &job);
}

static int run_remove(struct store_file *file, const struct store_job *job)
{
    struct store_binding binding = store_bind(file, STORE_REMOVE_TOKEN);
    store_bind_number(&binding, job->value.id);
    return store_bind_run(&binding);
}

int store_remove_token(struct store *store, uint64_t id, store_on_done *on_done, void *user)
{
    struct store_job job = {.run = run_remove, .value.id = id, .on_done = on_done, .user = user};
    return store_ask(store, &job);
}

static int run_use(struct store_file *file, const struct store_job *job)
{
    const struct stored_use *uses = job->value.list.items;
    int result = SQLITE_OK;
    for (size_t i = 0; i < job->value.list.count && result == SQLITE_OK; i++) {
        struct store_binding binding = store_bind(file, STORE_USE_TOKEN);
        store_bind_number(&binding, uses[i].token);
        store_bind_number(&binding, uses[i].used);
        result = store_bind_run(&binding);
    }
    return result;
}

int store_use_tokens(struct store *store, const struct stored_use *uses, size_t count,
                     store_on_done *on_done, void *user)
{
    struct stored_use *copy = malloc((count + 1) * sizeof *copy);
    if (!copy)
        return STORE_MEMORY;
    if (count)
        memcpy(copy, uses, count * sizeof *copy);
    struct store_job job = {.run = run_use,
                            .release = store_release_list,
                            .value.list = {copy, count},
                            .on_done = on_done,
                            .user = user};
    return store_ask(store, &job);
}

/* --- Loading --- */

/* NULL: no memory. */
static struct device_token *read_row(sqlite3_stmt *row)
{
    struct device_token values = {
        .id = store_row_number(row, 0),
        .account = store_row_number(row, 2),
        .name = (char *)store_row_text(row, 4),
        .egress_allow = (char *)store_row_text(row, 6),
        .egress_deny = (char *)store_row_text(row, 7),
        .sockets = (char *)store_row_text(row, 8),
        .max_tunnels = (uint32_t)store_row_number(row, 9),
        .max_substreams = (uint32_t)store_row_number(row, 10),
        .bytes_per_second = store_row_number(row, 11),
        .bytes_per_month = store_row_number(row, 12),
        .created = store_row_number(row, 13),
        .expires = store_row_number(row, 14),
    };
    const void *digest = sqlite3_column_blob(row, 5);
    if (!digest || sqlite3_column_bytes(row, 5) != sizeof values.digest || !values.name ||
        !store_row_copy(row, 1, values.uuid, sizeof values.uuid) ||
        !store_row_copy(row, 3, values.owner, sizeof values.owner))
        return NULL;
    memcpy(values.digest, digest, sizeof values.digest);
    return device_token_new(&values);
}

struct each_token {
    int (*each)(void *user, struct device_token *token, uint64_t last_used);
};

static int take_row(struct store_query *query, sqlite3_stmt *row)
{
    const struct each_token *each = query->each;
    struct device_token *token = read_row(row);
    int ended = -1;
    if (token)
        ended = each->each(query->user, token, store_row_number(row, 15));
    else
        snprintf(query->error, query->error_size, "the device token %u can't be read",
                 (unsigned)store_row_number(row, 0));
    device_token_unref(token);
    return ended;
}

int store_load_tokens(struct store *store,
                      int (*each)(void *user, struct device_token *token, uint64_t last_used),
                      void *user, char *error, size_t error_size)
{
    struct each_token called = {each};
    struct store_query query = {
        .text = "SELECT t.id, t.uuid, t.account, a.uuid, t.name, t.digest, t.egress_allow,"
                " t.egress_deny, t.sockets, t.max_tunnels, t.max_substreams, t.bytes_per_second,"
                " t.bytes_per_month, t.created, t.expires, t.last_used"
                " FROM device_tokens t JOIN accounts a ON a.id = t.account ORDER BY t.id",
        .what = "the device tokens",
        .row = take_row,
        .each = &called,
        .user = user,
        .error = error,
        .error_size = error_size,
    };
    return store_query_run(store, &query);
}
