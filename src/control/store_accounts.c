#include <stdio.h>
#include <string.h>

#include "control/accounts.h"
#include "control/store_internal.h"

static const char *const state_names[] = {
    [ACCOUNT_PENDING] = "pending",
    [ACCOUNT_ACTIVE] = "active",
    [ACCOUNT_DISABLED] = "disabled",
};
#define STATE_COUNT (sizeof state_names / sizeof state_names[0])

static int put(struct store_file *file, const struct store_job *job)
{
    const struct account *account = job->value.account;
    struct store_binding binding = store_bind(file, STORE_PUT_ACCOUNT);
    store_bind_number(&binding, account->id);
    store_bind_text(&binding, account->uuid);
    store_bind_text(&binding, account->email);
    store_bind_text(&binding, account->name);
    store_bind_text(&binding, account->sshkey);
    store_bind_text(&binding, account->password_hash);
    store_bind_number(&binding, account->gen);
    store_bind_text(&binding, state_names[account->state]);
    store_bind_number(&binding, account->created);
    store_bind_text(&binding, account->confirm);
    store_bind_number(&binding, account->quota_bytes);
    return store_bind_run(&binding);
}

static void release(struct store_job *job)
{
    account_unref(job->value.account);
}

int store_put_account(struct store *store, struct account *account, store_on_done *on_done,
                      void *user)
{
    struct store_job job = {.run = put,
                            .release = release,
                            .value.account = account_ref(account),
                            .on_done = on_done,
                            .user = user};
    return store_ask(store, &job);
}

/* Its tokens go by themselves. */
static int run_remove(struct store_file *file, const struct store_job *job)
{
    struct store_binding usage = store_bind(file, STORE_REMOVE_USAGE);
    store_bind_number(&usage, job->value.id);
    int result = store_bind_run(&usage);
    if (result != SQLITE_OK)
        return result;
    struct store_binding account = store_bind(file, STORE_REMOVE_ACCOUNT);
    store_bind_number(&account, job->value.id);
    return store_bind_run(&account);
}

int store_remove_account(struct store *store, uint64_t id, store_on_done *on_done, void *user)
{
    struct store_job job = {.run = run_remove, .value.id = id, .on_done = on_done, .user = user};
    return store_ask(store, &job);
}

/* --- Loading --- */

static int parse_state(const char *text)
{
    for (size_t i = 0; i < STATE_COUNT; i++)
        if (strcmp(text, state_names[i]) == 0)
            return (int)i;
    return -1;
}

/* NULL with a sentence. */
static struct account *read_row(const struct store_query *query, sqlite3_stmt *row)
{
    struct account values = {
        .id = store_row_number(row, 0),
        .email = (char *)store_row_text(row, 2),
        .name = (char *)store_row_text(row, 3),
        .sshkey = (char *)store_row_text(row, 4),
        .password_hash = (char *)store_row_text(row, 5),
        .gen = (uint32_t)store_row_number(row, 6),
        .created = store_row_number(row, 8),
        .quota_bytes = store_row_number(row, 10),
    };
    const char *state_text = store_row_text(row, 7);
    int state = state_text ? parse_state(state_text) : -1;
    bool is_whole = store_row_copy(row, 1, values.uuid, sizeof values.uuid) &&
                    store_row_copy(row, 9, values.confirm, sizeof values.confirm) && state_text &&
                    values.email && values.name && values.password_hash;
    if (state_text && state < 0) {
        snprintf(query->error, query->error_size,
                 "the database has an account of the unknown state \"%.40s\"", state_text);
        return NULL;
    }
    values.state = (enum account_state)state;
    struct account *account = is_whole ? account_new(&values) : NULL;
    if (!account)
        snprintf(query->error, query->error_size, "out of memory");
    return account;
}

struct each_account {
    int (*each)(void *user, struct account *account);
};

static int take_row(struct store_query *query, sqlite3_stmt *row)
{
    const struct each_account *each = query->each;
    struct account *account = read_row(query, row);
    int ended = account ? each->each(query->user, account) : -1;
    account_unref(account);
    return ended;
}

int store_load_accounts(struct store *store, int (*each)(void *user, struct account *account),
                        void *user, char *error, size_t error_size)
{
    struct each_account called = {each};
    struct store_query query = {
        .text = "SELECT id, uuid, email, name, sshkey, password_hash, gen, state, created, confirm,"
                " quota FROM accounts ORDER BY id",
        .what = "the accounts",
        .row = take_row,
        .each = &called,
        .user = user,
        .error = error,
        .error_size = error_size,
    };
    return store_query_run(store, &query);
}
