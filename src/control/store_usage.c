#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/store_internal.h"

static int add(struct store_file *file, const struct store_job *job)
{
    const struct stored_usage *usage = job->value.list.items;
    int result = SQLITE_OK;
    for (size_t i = 0; i < job->value.list.count && result == SQLITE_OK; i++) {
        struct store_binding binding = store_bind(file, STORE_ADD_USAGE);
        store_bind_text(&binding, usage[i].owner);
        store_bind_number(&binding, usage[i].month);
        store_bind_number(&binding, usage[i].bytes);
        result = store_bind_run(&binding);
    }
    return result;
}

int store_add_usage(struct store *store, const struct stored_usage *usage, size_t count,
                    store_on_done *on_done, void *user)
{
    struct stored_usage *copy = malloc((count + 1) * sizeof *copy);
    if (!copy)
        return STORE_MEMORY;
    if (count)
        memcpy(copy, usage, count * sizeof *copy);
    struct store_job job = {.run = add,
                            .release = store_release_list,
                            .value.list = {copy, count},
                            .on_done = on_done,
                            .user = user};
    return store_ask(store, &job);
}

struct each_usage {
    int (*each)(void *user, const struct stored_usage *usage);
};

static int take_row(struct store_query *query, sqlite3_stmt *row)
{
    const struct each_usage *each = query->each;
    struct stored_usage usage = {.month = (uint32_t)store_row_number(row, 1),
                                 .bytes = store_row_number(row, 2)};
    if (store_row_copy(row, 0, usage.owner, sizeof usage.owner))
        return each->each(query->user, &usage);
    snprintf(query->error, query->error_size, "out of memory");
    return -1;
}

int store_load_usage(struct store *store, uint32_t month,
                     int (*each)(void *user, const struct stored_usage *usage), void *user,
                     char *error, size_t error_size)
{
    char text[96];
    struct each_usage called = {each};
    struct store_query query = {
        .text = text,
        .what = "the usage",
        .row = take_row,
        .each = &called,
        .user = user,
        .error = error,
        .error_size = error_size,
    };
    snprintf(text, sizeof text, "SELECT owner, month, bytes FROM usage WHERE month = %u", month);
    return store_query_run(store, &query);
}
