#include <stdio.h>

#include "control/store_internal.h"

static int deny(struct store_file *file, const struct store_job *job)
{
    const struct stored_denial *denial = &job->value.denial;
    struct store_binding forget = store_bind(file, STORE_FORGET_LOGINS);
    store_bind_number(&forget, denial->now);
    int result = store_bind_run(&forget);
    if (result != SQLITE_OK)
        return result;
    struct store_binding binding = store_bind(file, STORE_DENY_LOGIN);
    store_bind_text(&binding, denial->jti);
    store_bind_number(&binding, denial->expires);
    return store_bind_run(&binding);
}

int store_deny_login(struct store *store, const char *jti, uint64_t expires, uint64_t now,
                     store_on_done *on_done, void *user)
{
    struct store_job job = {.run = deny,
                            .value.denial = {.expires = expires, .now = now},
                            .on_done = on_done,
                            .user = user};
    snprintf(job.value.denial.jti, sizeof job.value.denial.jti, "%s", jti);
    return store_ask(store, &job);
}

struct each_denial {
    int (*each)(void *user, const char *jti, uint64_t expires);
};

static int take_row(struct store_query *query, sqlite3_stmt *row)
{
    const struct each_denial *each = query->each;
    const char *jti = store_row_text(row, 0);
    if (jti)
        return each->each(query->user, jti, store_row_number(row, 1));
    snprintf(query->error, query->error_size, "out of memory");
    return -1;
}

int store_load_denied(struct store *store,
                      int (*each)(void *user, const char *jti, uint64_t expires), void *user,
                      char *error, size_t error_size)
{
    struct each_denial called = {each};
    struct store_query query = {
        .text = "SELECT jti, expires FROM denied_logins",
        .what = "the denied logins",
        .row = take_row,
        .each = &called,
        .user = user,
        .error = error,
        .error_size = error_size,
    };
    return store_query_run(store, &query);
}
