/* The store's accounts, tokens, logins, tunnels and usage; migration and backup. */
#include "store_test.h"

#include "control/accounts.h"

/* --- What the tests share --- */

static struct account *make_account(uint64_t id, const char *email)
{
    struct account values = {.id = id,
                             .email = (char *)email,
                             .name = "J\xc3\xbcrgen'; DROP TABLE accounts; --",
                             .password_hash = "$scrypt$x",
                             .gen = 3,
                             .state = ACCOUNT_ACTIVE,
                             .created = 1700000000};
    store_test_uuid(id, values.uuid);
    struct account *account = account_new(&values);
    assert_non_null(account);
    return account;
}

static int put_account(uint64_t id, const char *email, store_on_done *told, void *user)
{
    struct account *account = make_account(id, email);
    int result = store_put_account(store, account, told, user);
    account_unref(account);
    return result;
}

static int put_token(uint64_t id, uint64_t account, store_on_done *told, void *user)
{
    struct device_token values = {.id = id, .account = account, .name = "board"};
    store_test_uuid(id, values.uuid);
    memcpy(values.digest, values.uuid, sizeof values.digest);
    struct device_token *token = device_token_new(&values);
    int result = store_put_token(store, token, told, user);
    device_token_unref(token);
    return result;
}

static int put_socket(uint64_t id, store_on_done *told, void *user)
{
    char host[32];
    snprintf(host, sizeof host, "h%u.example", (unsigned)id);
    struct socket_facts values = {.id = id, .owner = "ann", .name = host, .hostname = host};
    store_test_uuid(id, values.uuid);
    struct socket_facts *facts = socket_facts_new(&values);
    int result = store_put_socket(store, facts, told, user);
    socket_facts_unref(facts);
    return result;
}

static int put_tunnel(uint64_t id, uint64_t socket, store_on_done *told, void *user)
{
    struct stored_tunnel tunnel = {.id = id, .socket = socket, .created = 1700000000 + id};
    store_test_uuid(id, tunnel.uuid);
    return store_put_tunnel(store, &tunnel, told, user);
}

/* What was loaded, in order; numbers say which. */
struct found {
    size_t count;
    uint64_t ids[64], values[64];
    struct account *account; /* the last; a reference */
    struct device_token *token;
};

static int keep(struct found *found, uint64_t id, uint64_t value)
{
    if (found->count < 64) {
        found->ids[found->count] = id;
        found->values[found->count] = value;
    }
    found->count++;
    return 0;
}

static int keep_account(void *user, struct account *account)
{
    struct found *found = user;
    account_unref(found->account);
    found->account = account_ref(account);
    return keep(found, account->id, account->gen);
}

static int keep_token(void *user, struct device_token *token, uint64_t last_used)
{
    struct found *found = user;
    device_token_unref(found->token);
    found->token = device_token_ref(token);
    return keep(found, token->id, last_used);
}

static int keep_denied(void *user, const char *jti, uint64_t expires)
{
    return keep(user, strtoul(jti, NULL, 10), expires);
}

static int keep_tunnel(void *user, const struct stored_tunnel *tunnel)
{
    return keep(user, tunnel->id, tunnel->socket);
}

static int keep_usage(void *user, const struct stored_usage *usage)
{
    return keep(user, strtoul(usage->owner, NULL, 10), usage->bytes);
}

static int keep_socket(void *user, struct socket_facts *facts)
{
    assert_true(uuid_is_valid(facts->uuid));
    assert_int_equal(facts->uuid[14], '4');
    assert_non_null(strchr("89ab", facts->uuid[19]));
    return keep(user, facts->id, facts->port);
}

enum kind { SOCKETS, ACCOUNTS, TOKENS, DENIED, TUNNELS, USAGE, KINDS };

#define MONTH 202611

static struct found load(enum kind kind)
{
    struct found found = {.count = 0};
    int result = -1;
    if (kind == SOCKETS)
        result = store_load_sockets(store, keep_socket, &found, error, sizeof error);
    if (kind == ACCOUNTS)
        result = store_load_accounts(store, keep_account, &found, error, sizeof error);
    if (kind == TOKENS)
        result = store_load_tokens(store, keep_token, &found, error, sizeof error);
    if (kind == DENIED)
        result = store_load_denied(store, keep_denied, &found, error, sizeof error);
    if (kind == TUNNELS)
        result = store_load_tunnels(store, keep_tunnel, &found, error, sizeof error);
    if (kind == USAGE)
        result = store_load_usage(store, MONTH, keep_usage, &found, error, sizeof error);
    if (result < 0)
        fail_msg("%s", error);
    return found;
}

static size_t count(enum kind kind)
{
    struct found found = load(kind);
    account_unref(found.account);
    device_token_unref(found.token);
    return found.count;
}

static void reopen(void)
{
    close_store();
    open_store();
}

/* --- Kinds --- */

static void test_an_account_is_there_with_all_its_values(void **state)
{
    struct done done = {0};
    struct account values = {.id = UINT64_C(1) << 40,
                             .uuid = "0b8e4a6e-0000-4000-8000-000000000001",
                             .email = "Ann@Example.com",
                             .name = "Ann\"'",
                             .sshkey = "ssh-ed25519 AAAA",
                             .password_hash = "$scrypt$y",
                             .gen = UINT32_MAX,
                             .state = ACCOUNT_DISABLED,
                             .created = 1700000000,
                             .confirm = "0123456789abcdef0123456789abcdef",
                             .quota_bytes = INT64_MAX};
    struct account *account = account_new(&values);
    open_store();
    assert_int_equal(store_put_account(store, account, on_done, &done), STORE_OK);
    assert_int_equal(put_account(1, "bob@example.com", on_done, &done), STORE_OK);
    account_unref(account);
    wait_for(&done, 2);
    assert_int_equal(done.failed, 0);
    reopen();
    assert_int_equal(store_last_account(store), values.id);
    struct found found = load(ACCOUNTS);
    assert_int_equal(found.count, 2);
    assert_int_equal(found.ids[0], 1);
    account = found.account;
    assert_int_equal(account->id, values.id);
    assert_string_equal(account->uuid, values.uuid);
    assert_string_equal(account->email, values.email);
    assert_string_equal(account->name, values.name);
    assert_string_equal(account->sshkey, values.sshkey);
    assert_string_equal(account->password_hash, values.password_hash);
    assert_int_equal(account->gen, UINT32_MAX);
    assert_int_equal(account->state, ACCOUNT_DISABLED);
    assert_int_equal(account->created, 1700000000);
    assert_string_equal(account->confirm, values.confirm);
    assert_int_equal(account->quota_bytes, INT64_MAX);
    account_unref(account);
}

static void test_an_email_is_one_accounts_in_any_case(void **state)
{
    struct done good = {0}, bad = {0};
    open_store();
    assert_int_equal(put_account(1, "Ann@example.com", on_done, &good), STORE_OK);
    assert_int_equal(put_account(2, "aNN@example.com", on_done, &bad), STORE_OK);
    assert_int_equal(put_account(1, "ann@Example.com", on_done, &good), STORE_OK);
    wait_for(&good, 2);
    wait_for(&bad, 1);
    assert_int_equal(good.failed, 0);
    assert_int_equal(bad.failed, 1);
    assert_int_equal(count(ACCOUNTS), 1);
}

static void test_an_account_goes_with_what_is_its_own(void **state)
{
    struct done done = {0}, late = {0};
    struct stored_usage usage[2] = {{.month = MONTH, .bytes = 5}, {"other", MONTH, 6}};
    store_test_uuid(1, usage[0].owner);
    open_store();
    assert_int_equal(put_account(1, "a@b.c", on_done, &done), STORE_OK);
    assert_int_equal(put_token(1, 1, on_done, &done), STORE_OK);
    assert_int_equal(store_add_usage(store, usage, 2, on_done, &done), STORE_OK);
    assert_int_equal(store_remove_account(store, 1, on_done, &done), STORE_OK);
    assert_int_equal(put_token(2, 1, on_done, &late), STORE_OK); /* of nobody any more */
    wait_for(&done, 4);
    wait_for(&late, 1);
    assert_int_equal(done.failed, 0);
    assert_int_equal(late.failed, 1);
    assert_int_equal(count(TOKENS), 0);
    assert_int_equal(count(USAGE), 1);
    reopen();
    assert_int_equal(store_last_account(store), 1);
    assert_int_equal(store_last_token(store), 1);
}

static void test_a_token_is_there_with_all_its_values(void **state)
{
    struct done done = {0};
    const struct stored_use uses[] = {{7, 1700000123}, {99, 5}};
    struct device_token values = {.id = 7,
                                  .uuid = "0b8e4a6e-0000-4000-8000-000000000007",
                                  .account = 1,
                                  .name = "board",
                                  .digest = {0, 1, 2, 255},
                                  .egress_allow = "192.0.2.0/24:80,10.0.0.0/8",
                                  .egress_deny = "0.0.0.0/0",
                                  .sockets = "-",
                                  .max_tunnels = 1,
                                  .max_substreams = UINT32_MAX,
                                  .bytes_per_second = 3,
                                  .bytes_per_month = INT64_MAX,
                                  .created = 5,
                                  .expires = 6};
    struct device_token *token = device_token_new(&values);
    open_store();
    assert_int_equal(put_account(1, "a@b.c", on_done, &done), STORE_OK);
    assert_int_equal(store_put_token(store, token, on_done, &done), STORE_OK);
    assert_int_equal(store_use_tokens(store, uses, 2, on_done, &done), STORE_OK);
    assert_int_equal(store_put_token(store, token, on_done, &done), STORE_OK);
    device_token_unref(token);
    wait_for(&done, 4);
    assert_int_equal(done.failed, 0);
    reopen();
    struct found found = load(TOKENS);
    assert_int_equal(found.count, 1);
    assert_int_equal(found.values[0], 1700000123);
    token = found.token;
    assert_string_equal(token->uuid, values.uuid);
    assert_string_equal(token->owner, "00000001-0000-4000-8000-000000000000");
    assert_int_equal(token->account, 1);
    assert_string_equal(token->name, "board");
    assert_memory_equal(token->digest, values.digest, sizeof values.digest);
    assert_string_equal(token->egress_allow, values.egress_allow);
    assert_string_equal(token->egress_deny, values.egress_deny);
    assert_string_equal(token->sockets, "-");
    assert_int_equal(token->max_tunnels, 1);
    assert_int_equal(token->max_substreams, UINT32_MAX);
    assert_int_equal(token->bytes_per_second, 3);
    assert_int_equal(token->bytes_per_month, INT64_MAX);
    assert_int_equal(token->created, 5);
    assert_int_equal(token->expires, 6);
    device_token_unref(token);
    done.count = 0;
    assert_int_equal(store_remove_token(store, 7, on_done, &done), STORE_OK);
    wait_for(&done, 1);
    assert_int_equal(count(TOKENS), 0);
}

static void test_denied_logins_are_kept_a_day_longer_than_they_last(void **state)
{
    struct done done = {0};
    open_store();
    assert_int_equal(store_deny_login(store, "1", 1000, 500, on_done, &done), STORE_OK);
    assert_int_equal(store_deny_login(store, "1", 900, 500, on_done, &done), STORE_OK);
    assert_int_equal(store_deny_login(store, "2", 90000, 87399, on_done, &done), STORE_OK);
    wait_for(&done, 3);
    reopen();
    struct found found = load(DENIED);
    assert_int_equal(found.count, 2);
    assert_int_equal(found.values[0], 1000);
    assert_int_equal(store_deny_login(store, "3", 90000, 87400, on_done, &done), STORE_OK);
    wait_for(&done, 4);
    assert_int_equal(done.failed, 0);
    assert_int_equal(count(DENIED), 2); /* the first has gone */
}

static void test_a_tunnel_goes_with_its_socket(void **state)
{
    struct done done = {0}, bad = {0};
    open_store();
    assert_int_equal(put_socket(1, on_done, &done), STORE_OK);
    assert_int_equal(put_socket(2, on_done, &done), STORE_OK);
    assert_int_equal(put_tunnel(5, 1, on_done, &done), STORE_OK);
    assert_int_equal(put_tunnel(6, 2, on_done, &done), STORE_OK);
    assert_int_equal(put_tunnel(7, 2, on_done, &done), STORE_OK);
    assert_int_equal(put_tunnel(8, 3, on_done, &bad), STORE_OK); /* no such socket */
    assert_int_equal(put_socket(1, on_done, &done), STORE_OK);   /* a change removes nothing */
    assert_int_equal(store_remove_tunnel(store, 7, on_done, &done), STORE_OK);
    wait_for(&done, 7);
    wait_for(&bad, 1);
    assert_int_equal(done.failed, 0);
    assert_int_equal(bad.failed, 1);
    reopen();
    struct found found = load(TUNNELS);
    assert_int_equal(found.count, 2);
    assert_int_equal(found.ids[0], 5);
    assert_int_equal(found.values[0], 1);
    done.count = 0;
    assert_int_equal(store_remove_socket(store, 1, on_done, &done), STORE_OK);
    wait_for(&done, 1);
    found = load(TUNNELS);
    assert_int_equal(found.count, 1);
    assert_int_equal(found.ids[0], 6);
    assert_int_equal(store_last_tunnel(store), 7);
}

static void test_usage_adds_up_by_month(void **state)
{
    struct done done = {0};
    const struct stored_usage usage[] = {{"1", MONTH, 5}, {"2", MONTH, 6}, {"1", MONTH + 1, 7}};
    open_store();
    assert_int_equal(store_add_usage(store, usage, 3, on_done, &done), STORE_OK);
    assert_int_equal(store_add_usage(store, usage, 1, on_done, &done), STORE_OK);
    assert_int_equal(store_add_usage(store, usage, 0, on_done, &done), STORE_OK);
    wait_for(&done, 3);
    assert_int_equal(done.failed, 0);
    reopen();
    struct found found = load(USAGE);
    assert_int_equal(found.count, 2);
    assert_int_equal(found.values[0], 10);
    assert_int_equal(found.values[1], 6);
}

static void test_who_is_forgotten_is_not_told(void **state)
{
    struct done told = {0}, forgotten = {0};
    open_store();
    assert_int_equal(put_account(1, "a@b.c", on_done, &forgotten), STORE_OK);
    assert_int_equal(put_account(2, "b@b.c", on_done, &told), STORE_OK);
    assert_int_equal(put_account(3, "c@b.c", NULL, NULL), STORE_OK); /* nobody is to be told */
    assert_int_equal(put_account(4, "d@b.c", on_done, &told), STORE_OK);
    store_forget(store, &forgotten);
    wait_for(&told, 2);
    assert_int_equal(forgotten.count, 0);
    assert_int_equal(count(ACCOUNTS), 4);
}

/* --- From version 1 --- */

static void test_sockets_of_version_1_get_a_uuid(void **state)
{
    struct found found;
    open_store();
    close_store();
    change_with_sqlite("DROP TABLE tunnels; DROP TABLE usage; DROP TABLE device_tokens;"
                       "DROP TABLE accounts; DROP TABLE denied_logins; DROP INDEX sockets_uuid;"
                       "ALTER TABLE sockets DROP COLUMN uuid;"
                       "ALTER TABLE sockets DROP COLUMN description;"
                       "ALTER TABLE sockets DROP COLUMN access;"
                       "UPDATE schema_version SET version = 1;"
                       "INSERT INTO sockets VALUES"
                       " (1, 'a', 'b', 'http', 'c', 0, 0, 0, NULL),"
                       " (2, 'a', 'c', 'tcp', 'd', 5000, 0, 0, NULL)");
    open_store();
    found = load(SOCKETS); /* each uuid is looked at there */
    assert_int_equal(found.count, 2);
    assert_int_equal(found.values[1], 5000);
    assert_int_equal(store_last_socket(store), 2);
}

/* --- Backup --- */

static bool file_exists(const char *path)
{
    struct stat facts;
    return stat(path, &facts) == 0;
}

static void test_a_backup_is_a_store(void **state)
{
    char path[128];
    struct done done = {0};
    struct stat facts;
    snprintf(path, sizeof path, "%s/copy", folder);
    mode_t before = umask(0);
    open_store();
    assert_int_equal(put_account(1, "a@b.c", on_done, &done), STORE_OK);
    assert_int_equal(store_backup(store, path, on_done, &done), STORE_OK);
    assert_int_equal(put_account(2, "b@b.c", on_done, &done), STORE_OK);
    wait_for(&done, 3);
    umask(before);
    if (done.failed)
        fail_msg("%s", done.last_error);
    assert_int_equal(count(ACCOUNTS), 2);
    close_store();
    assert_int_equal(stat(path, &facts), 0);
    assert_int_equal(facts.st_mode & 0777, 0600);
    assert_false(file_exists(below("copy-wal")) || file_exists(below("copy-journal")));
    assert_int_equal(rename(path, below("streamplex.db")), 0);
    open_store();
    assert_int_equal(count(ACCOUNTS), 1); /* as it was after what was asked before */
}

static void test_a_backup_overwrites_nothing(void **state)
{
    char path[128], text[8] = "";
    struct done done = {0};
    snprintf(path, sizeof path, "%s/copy", folder);
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    assert_int_equal(write(fd, "mine", 4), 4);
    open_store();
    assert_int_equal(store_backup(store, path, on_done, &done), STORE_OK);
    wait_for(&done, 1);
    assert_non_null(strstr(done.last_error, "File exists"));
    assert_int_equal(pread(fd, text, sizeof text, 0), 4);
    assert_string_equal(text, "mine");
    close(fd);
    assert_int_equal(store_backup(store, "/nonexistent/copy", on_done, &done), STORE_OK);
    wait_for(&done, 2);
    assert_non_null(strstr(done.last_error, "No such file"));
    assert_int_equal(put_account(1, "a@b.c", on_done, &done), STORE_OK); /* it goes on */
    wait_for(&done, 3);
    assert_int_equal(done.failed, 2);
}

/* --- Sudden ends, in a child --- */

struct acknowledging {
    int pipe;
    uint64_t id;
};

static void acknowledge(void *user, const char *sentence)
{
    struct acknowledging *acknowledging = user;
    if (sentence || write(acknowledging->pipe, &acknowledging->id, sizeof acknowledging->id) < 0)
        _exit(2);
    free(acknowledging);
}

static int put_kind(enum kind kind, uint64_t id, void *user)
{
    char text[32];
    struct stored_usage usage = {.month = MONTH, .bytes = 1};
    switch (kind) {
    case ACCOUNTS:
        snprintf(text, sizeof text, "a%u@b.c", (unsigned)id);
        return put_account(id, text, acknowledge, user);
    case TOKENS:
        return put_token(id, 1, acknowledge, user);
    case DENIED:
        snprintf(text, sizeof text, "%u", (unsigned)id);
        return store_deny_login(store, text, UINT32_MAX, 1, acknowledge, user);
    case TUNNELS:
        return put_tunnel(id, 1, acknowledge, user);
    case USAGE:
        snprintf(usage.owner, sizeof usage.owner, "%u", (unsigned)id);
        return store_add_usage(store, &usage, 1, acknowledge, user);
    default:
        return put_socket(id, acknowledge, user);
    }
}

/* In bursts, so that there is always one half done; tells the pipe what was acknowledged. */
static void put_until_killed(enum kind kind, int pipe, uint64_t id)
{
    bool is_over = false;
    open_store();
    for (int burst = 0; burst < 1000; burst++) {
        for (int i = 0; i < 3; i++) {
            struct acknowledging *acknowledging = malloc(sizeof *acknowledging);
            *acknowledging = (struct acknowledging){pipe, ++id};
            if (put_kind(kind, id, acknowledging) != STORE_OK)
                _exit(3);
        }
        test_run_for(loop, 100);
    }
    test_run_until(loop, test_flag_holds, &is_over);
}

/* Reads acknowledgements until there are `wanted`, kills, and reads the rest: how many in all. */
static uint64_t kill_after(pid_t child, int pipe, int wanted)
{
    uint64_t id, last = 0;
    for (int told = 0; read(pipe, &id, sizeof id) == (ssize_t)sizeof id; last = id)
        if (++told == wanted)
            assert_int_equal(kill(child, SIGKILL), 0);
    return last;
}

static void survive(enum kind kind, int round)
{
    int pipes[2], status;
    assert_int_equal(pipe(pipes), 0);
    uint64_t first = count(kind);
    close_store();
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(pipes[0]);
        put_until_killed(kind, pipes[1], first);
        _exit(1);
    }
    close(pipes[1]);
    uint64_t last = kill_after(child, pipes[0], 1 + round % 7);
    close(pipes[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    open_store();
    assert_true(last > first);
    assert_true(count(kind) >= last); /* one that nobody was told of yet may be there */
}

/* With the 50 of the sockets some 200 rounds. */
static void test_every_kind_survives_a_kill(void **state)
{
    struct done done = {0};
    open_store();
    assert_int_equal(put_account(1, "a1@b.c", on_done, &done), STORE_OK);
    assert_int_equal(put_socket(1, on_done, &done), STORE_OK);
    wait_for(&done, 2);
    for (int round = 0; round < 150; round++)
        survive(ACCOUNTS + (enum kind)(round % (KINDS - ACCOUNTS)), round);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_an_account_is_there_with_all_its_values),
        TEST(test_an_email_is_one_accounts_in_any_case),
        TEST(test_an_account_goes_with_what_is_its_own),
        TEST(test_a_token_is_there_with_all_its_values),
        TEST(test_denied_logins_are_kept_a_day_longer_than_they_last),
        TEST(test_a_tunnel_goes_with_its_socket),
        TEST(test_usage_adds_up_by_month),
        TEST(test_who_is_forgotten_is_not_told),
        TEST(test_sockets_of_version_1_get_a_uuid),
        TEST(test_a_backup_is_a_store),
        TEST(test_a_backup_overwrites_nothing),
        TEST(test_every_kind_survives_a_kill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
