/* The store on disk: what is acknowledged is there, whatever happens to the process. */
#include "store_test.h"

#include <sys/resource.h>

/* --- What the tests share --- */

static struct socket_facts *make_facts(uint64_t id, const char *hostname)
{
    char name[32];
    snprintf(name, sizeof name, "name %u", (unsigned)id);
    struct socket_facts values = {
        .id = id, .type = SOCKET_HTTPS, .owner = "ann", .name = name, .hostname = (char *)hostname};
    store_test_uuid(id, values.uuid);
    struct socket_facts *facts = socket_facts_new(&values);
    assert_non_null(facts);
    return facts;
}

static int put(struct socket_facts *facts, struct done *done)
{
    int result = store_put_socket(store, facts, on_done, done);
    socket_facts_unref(facts);
    return result;
}

static int put_numbered(uint64_t id, struct done *done)
{
    char host[32];
    snprintf(host, sizeof host, "h%u.example", (unsigned)id);
    return put(make_facts(id, host), done);
}

#define LOADED_MAX 16384
struct loaded {
    size_t count;
    struct socket_facts *items[LOADED_MAX];
};
static struct loaded loaded;

static int keep(void *user, struct socket_facts *facts)
{
    assert_true(loaded.count < LOADED_MAX);
    loaded.items[loaded.count++] = socket_facts_ref(facts);
    return 0;
}

static void load(void)
{
    loaded.count = 0;
    if (store_load_sockets(store, keep, NULL, error, sizeof error) < 0)
        fail_msg("%s", error);
}

static void unload(void)
{
    while (loaded.count)
        socket_facts_unref(loaded.items[--loaded.count]);
}

static size_t read_whole(const char *path, char *bytes, size_t size)
{
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    ssize_t length = read(fd, bytes, size);
    close(fd);
    assert_true(length >= 0 && (size_t)length < size);
    return (size_t)length;
}

static void write_whole(const char *path, const void *bytes, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size), size);
    close(fd);
}

/* Opening fails with a sentence that has `part`, and not a byte of the database has changed. */
static void assert_refused_untouched(const char *part)
{
    static char before[1 << 20], after[1 << 20];
    size_t size = read_whole(below("streamplex.db"), before, sizeof before);
    assert_int_equal(store_open(folder, loop, &store, error, sizeof error), -1);
    assert_null(store);
    if (!strstr(error, part))
        fail_msg("\"%s\" doesn't say \"%s\"", error, part);
    assert_int_equal(read_whole(below("streamplex.db"), after, sizeof after), size);
    assert_memory_equal(before, after, size);
}

/* --- What is kept --- */

static void test_every_fact_is_there_after_opening_again(void **state)
{
    struct done done = {0};
    struct prefix prefix;
    assert_int_equal(prefix_parse("192.0.2.0/24", 12, &prefix), 0);
    struct socket_access access = {.is_protected = true,
                                   .username = "\"u\"",
                                   .password_hash = "$scrypt$x",
                                   .allow = &prefix,
                                   .allow_count = 1,
                                   .client_ca = "-----BEGIN\n",
                                   .rate = 10,
                                   .visitor_rate = UINT32_MAX,
                                   .max_connections = 3};
    const struct socket_facts values = {.id = 7,
                                        .type = SOCKET_HTTP,
                                        .owner = "ann",
                                        .name = "J\xc3\xbcrgen's \"door\"",
                                        .hostname = "door.example",
                                        .created = 1700000000,
                                        .https_only = true,
                                        .host_header = "localhost:3000",
                                        .uuid = "0b8e4a6e-0000-4000-8000-000000000001",
                                        .description = "the \xc3\xbc door",
                                        .access = &access};
    const struct socket_facts port = {.id = 9,
                                      .type = SOCKET_TCP,
                                      .owner = "bob",
                                      .name = "ssh",
                                      .hostname = "edge.example",
                                      .port = 65535};
    open_store();
    assert_int_equal(put(socket_facts_new(&values), &done), STORE_OK);
    assert_int_equal(put(socket_facts_new(&port), &done), STORE_OK);
    assert_int_equal(done.count, 0); /* never before it returns */
    wait_for(&done, 2);
    assert_int_equal(done.failed, 0);
    close_store();

    open_store();
    assert_int_equal(store_last_socket(store), 9);
    load();
    assert_int_equal(loaded.count, 2);
    const struct socket_facts *facts = loaded.items[0];
    assert_int_equal(facts->id, 7);
    assert_int_equal(facts->type, SOCKET_HTTP);
    assert_string_equal(facts->owner, values.owner);
    assert_string_equal(facts->name, values.name);
    assert_string_equal(facts->hostname, values.hostname);
    assert_int_equal(facts->port, 0);
    assert_int_equal(facts->created, 1700000000);
    assert_true(facts->https_only);
    assert_string_equal(facts->host_header, values.host_header);
    assert_string_equal(facts->uuid, values.uuid);
    assert_string_equal(facts->description, values.description);
    assert_true(facts->access->is_protected);
    assert_string_equal(facts->access->username, access.username);
    assert_string_equal(facts->access->password_hash, access.password_hash);
    assert_string_equal(facts->access->client_ca, access.client_ca);
    assert_int_equal(facts->access->allow_count, 1);
    assert_memory_equal(facts->access->allow, &prefix, sizeof prefix);
    assert_int_equal(facts->access->deny_count, 0);
    assert_int_equal(facts->access->rate, 10);
    assert_int_equal(facts->access->visitor_rate, UINT32_MAX);
    assert_int_equal(facts->access->max_connections, 3);
    facts = loaded.items[1];
    assert_null(facts->description);
    assert_null(facts->access);
    assert_int_equal(facts->type, SOCKET_TCP);
    assert_int_equal(facts->port, 65535);
    assert_false(facts->https_only);
    assert_null(facts->host_header);
    unload();
}

static void test_a_put_replaces_and_an_id_is_not_given_twice(void **state)
{
    struct done done = {0};
    open_store();
    assert_int_equal(put(make_facts(1, "a.example"), &done), STORE_OK);
    assert_int_equal(put(make_facts(2, "b.example"), &done), STORE_OK);
    assert_int_equal(put(make_facts(1, "c.example"), &done), STORE_OK);
    assert_int_equal(put(make_facts(3, "a.example"), &done), STORE_OK); /* free again */
    assert_int_equal(store_remove_socket(store, 3, on_done, &done), STORE_OK);
    wait_for(&done, 5);
    assert_int_equal(done.failed, 0);
    close_store();
    open_store();
    load();
    assert_int_equal(loaded.count, 2);
    assert_string_equal(loaded.items[0]->hostname, "c.example");
    assert_int_equal(store_last_socket(store), 3);
    unload();
}

static void test_a_name_of_another_fails_alone(void **state)
{
    struct done good = {0}, bad = {0};
    open_store();
    assert_int_equal(put(make_facts(1, "a.example"), &good), STORE_OK);
    assert_int_equal(put(make_facts(2, "a.example"), &bad), STORE_OK);
    assert_int_equal(put(make_facts(3, "b.example"), &good), STORE_OK);
    wait_for(&good, 2);
    wait_for(&bad, 1);
    assert_int_equal(good.failed, 0);
    assert_int_equal(bad.failed, 1);
    assert_non_null(strstr(bad.last_error, "UNIQUE"));
    load();
    assert_int_equal(loaded.count, 2);
    unload();
}

static void test_closing_finishes_but_tells_nobody(void **state)
{
    struct done done = {0};
    open_store();
    for (uint64_t id = 1; id <= 500; id++)
        assert_int_equal(put_numbered(id, &done), STORE_OK);
    close_store();
    test_run_for(loop, 1000);
    assert_int_equal(done.count, 0);
    open_store();
    load();
    assert_int_equal(loaded.count, 500);
    unload();
}

static void test_files_are_the_owners_alone(void **state)
{
    struct stat facts;
    struct done done = {0};
    mode_t before = umask(0);
    open_store();
    assert_int_equal(put_numbered(1, &done), STORE_OK);
    wait_for(&done, 1);
    umask(before);
    static const char *const names[] = {"streamplex.db", "streamplex.db-wal", "streamplex.lock"};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(stat(below(names[i]), &facts), 0);
        assert_int_equal(facts.st_mode & 0777, 0600);
    }
}

/* --- The queue --- */

static void test_the_queue_is_bounded_and_written_together(void **state)
{
    struct done done = {0};
    sqlite3 *other;
    int asked = 0, result;
    open_store();
    assert_int_equal(sqlite3_open(below("streamplex.db"), &other), SQLITE_OK);
    /* Nobody else writes meanwhile: the thread waits with what it took. */
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    while ((result = put_numbered((uint64_t)asked + 1, &done)) == STORE_OK)
        asked++;
    assert_int_equal(result, STORE_BUSY);
    assert_string_equal(store_error_text(result), "too many changes wait to be written");
    assert_in_range(asked, STORE_QUEUE_MAX, 2 * STORE_QUEUE_MAX);
    assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(other);
    wait_for(&done, asked);
    assert_int_equal(done.failed, 0);
    load();
    assert_int_equal(loaded.count, asked);
    unload();
    assert_int_equal(put_numbered((uint64_t)asked + 1, &done), STORE_OK); /* there is place again */
    wait_for(&done, asked + 1);
}

/* --- What may be wrong with a folder --- */

static void test_a_second_server_is_refused(void **state)
{
    struct store *second = NULL;
    char wanted[128];
    open_store();
    assert_int_equal(store_open(folder, loop, &second, error, sizeof error), -1);
    assert_null(second);
    snprintf(wanted, sizeof wanted, "another server (process %d) works on the state folder %s",
             (int)getpid(), folder);
    assert_string_equal(error, wanted);
    close_store();
    open_store();
}

static void test_what_is_no_database_is_left_as_it_is(void **state)
{
    char text[8192];
    memset(text, 'x', sizeof text);
    write_whole(below("streamplex.db"), text, sizeof text);
    assert_refused_untouched("is not a database");
}

static void test_a_damaged_database_is_left_as_it_is(void **state)
{
    static char bytes[1 << 20];
    struct done done = {0};
    open_store();
    for (uint64_t id = 1; id <= 200; id++)
        assert_int_equal(put_numbered(id, &done), STORE_OK);
    close_store();
    size_t size = read_whole(below("streamplex.db"), bytes, sizeof bytes);
    memset(bytes + 4096, 0xa5, size - 4096); /* all but the first page */
    write_whole(below("streamplex.db"), bytes, size);
    assert_refused_untouched("damaged");
}

static void test_another_programs_database_is_left_as_it_is(void **state)
{
    change_with_sqlite("CREATE TABLE recipes (name TEXT)");
    assert_refused_untouched("another program");
}

static void test_a_newer_version_is_left_as_it_is(void **state)
{
    int status;
    open_store();
    close_store();
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) { /* ends suddenly: what it wrote is in the log alone */
        change_and_keep("UPDATE schema_version SET version = 1000");
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_refused_untouched("newer version of streamplex (1000");
}

static void test_an_unknown_type_is_said(void **state)
{
    open_store();
    close_store();
    change_with_sqlite("INSERT INTO sockets VALUES"
                       " (1, 'a', 'b', 'gopher', 'c', 0, 0, 0, NULL, 'u', NULL, NULL)");
    open_store();
    assert_int_equal(store_load_sockets(store, keep, NULL, error, sizeof error), -1);
    assert_non_null(strstr(error, "gopher"));
}

static void test_a_folder_that_is_not_there_is_said(void **state)
{
    assert_int_equal(store_open("/nonexistent/streamplex", loop, &store, error, sizeof error), -1);
    assert_non_null(strstr(error, "/nonexistent/streamplex"));
}

/* --- Full disks and sudden ends, in a child --- */

static void use_disk_until_full(void)
{
    struct done done = {0};
    struct rlimit limit;
    uint64_t id = 0;
    signal(SIGXFSZ, SIG_IGN);
    open_store();
    if (getrlimit(RLIMIT_FSIZE, &limit) < 0)
        _exit(2);
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = 128 << 10; /* what the log may grow to */
    if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
        _exit(2);
    while (!done.failed && id < 10000) {
        if (put_numbered(++id, &done) != STORE_OK)
            _exit(3);
        wait_for(&done, (int)id);
    }
    if (done.failed != 1 || !strstr(done.last_error, "can't write to the database: "))
        _exit(4);
    limit.rlim_cur = before;
    if (setrlimit(RLIMIT_FSIZE, &limit) < 0 || put_numbered(id + 1, &done) != STORE_OK)
        _exit(5);
    wait_for(&done, (int)id + 1);
    if (done.failed != 1)
        _exit(6);
    load();
    /* all but the one that failed */
    _exit(loaded.count == id && loaded.items[id - 1]->id == id + 1 ? 0 : 7);
}

static void test_a_full_disk_is_an_error_and_no_end(void **state)
{
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        use_disk_until_full();
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

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

static bool is_never(void *user)
{
    return false;
}

/* Puts in bursts, so that there is always one half done; tells the pipe what was acknowledged. */
static void put_until_killed(int pipe, uint64_t id)
{
    open_store();
    for (int burst = 0; burst < 1000; burst++) {
        for (int i = 0; i < 3; i++) {
            char host[32];
            struct acknowledging *acknowledging = malloc(sizeof *acknowledging);
            snprintf(host, sizeof host, "h%u.example", (unsigned)++id);
            struct socket_facts *facts = make_facts(id, host);
            *acknowledging = (struct acknowledging){pipe, id};
            if (store_put_socket(store, facts, acknowledge, acknowledging) != STORE_OK)
                free(acknowledging);
            socket_facts_unref(facts);
        }
        test_run_for(loop, 100);
    }
    test_run_until(loop, is_never, NULL);
}

/* Reads acknowledgements until there are `wanted`, kills, and reads the rest. The highest id, in
 * *ret_last; every id below it was acknowledged, too. */
static void kill_after(pid_t child, int pipe, int wanted, uint64_t *ret_last)
{
    uint64_t id;
    for (int count = 0; read(pipe, &id, sizeof id) == (ssize_t)sizeof id;) {
        assert_true(id > *ret_last);
        *ret_last = id;
        if (++count == wanted)
            assert_int_equal(kill(child, SIGKILL), 0);
    }
}

static void test_what_was_acknowledged_survives_a_kill(void **state)
{
    uint64_t first = 0;
    for (int round = 0; round < 50; round++) {
        int pipes[2], status;
        uint64_t last = first;
        assert_int_equal(pipe(pipes), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            close(pipes[0]);
            put_until_killed(pipes[1], first);
            _exit(1);
        }
        close(pipes[1]);
        kill_after(child, pipes[0], 1 + round % 11, &last);
        close(pipes[0]);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        open_store();
        load();
        assert_true(loaded.count >= last); /* one that nobody was told of yet may be there */
        for (uint64_t i = 0; i < last; i++)
            assert_int_equal(loaded.items[i]->id, i + 1);
        first = loaded.items[loaded.count - 1]->id;
        unload();
        close_store();
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_every_fact_is_there_after_opening_again),
        TEST(test_a_put_replaces_and_an_id_is_not_given_twice),
        TEST(test_a_name_of_another_fails_alone),
        TEST(test_closing_finishes_but_tells_nobody),
        TEST(test_files_are_the_owners_alone),
        TEST(test_the_queue_is_bounded_and_written_together),
        TEST(test_a_second_server_is_refused),
        TEST(test_what_is_no_database_is_left_as_it_is),
        TEST(test_a_damaged_database_is_left_as_it_is),
        TEST(test_another_programs_database_is_left_as_it_is),
        TEST(test_a_newer_version_is_left_as_it_is),
        TEST(test_an_unknown_type_is_said),
        TEST(test_a_folder_that_is_not_there_is_said),
        TEST(test_a_full_disk_is_an_error_and_no_end),
        TEST(test_what_was_acknowledged_survives_a_kill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
