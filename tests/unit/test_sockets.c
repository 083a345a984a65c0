/* From an agent's question to its answer, with a store on disk and listeners of real ports. */
#include "net_test.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>

#include <sqlite3.h>

#include "registry/directory.h"
#include "server/sockets.h"

#define PORTS 40 /* a range so wide that not all are anybody else's */

static char folder[64], error[512];
static struct loop *loop;
static struct config *config;
static struct sockets *sockets;
static struct directory *directory;
static int changes[4]; /* by kind */
static uint16_t first_port;

/* Not a worker's, but ours: what was answered, in order. */
static struct socket_question *answers[16];
static int answer_count;

static struct tunnel_ref closed[4];
static int closed_count;

static int starts[2], stops[2]; /* how often a worker was told to accept */
static uint64_t accepting;      /* at the port of this socket */
static bool was_known;          /* its presence, to the directory, by then */

/* --- The host --- */

static void publish(void *user, const struct registry_change *change)
{
    changes[change->kind]++;
    assert_int_equal(directory_apply(directory, change), 0);
}

static void close_tunnel(void *user, struct tunnel_ref ref, const char *reason)
{
    assert_true(strlen(reason) > 0);
    closed[closed_count++] = ref;
}

static void accept_at(void *user, unsigned worker, uint64_t socket, struct listening *listening)
{
    assert_non_null(listening);
    starts[worker]++;
    accepting = socket;
    was_known = directory_presences(directory_find_id(directory, socket)) > 0;
}

static void stop_accepting(void *user, unsigned worker, uint64_t socket)
{
    stops[worker]++;
    assert_int_equal(socket, accepting);
}

static const struct sockets_host host = {publish, close_tunnel, accept_at, stop_accepting, NULL};

/* --- What the tests share --- */

static const char *below(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* A port that nobody listened on just now: the range begins there. */
static uint16_t find_port(void)
{
    union address address;
    socklen_t size = sizeof address;
    uint16_t port;
    do {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(address_from_host("127.0.0.1", 0, &address), 0);
        assert_int_equal(bind(fd, &address.any, address_size(&address)), 0);
        assert_int_equal(getsockname(fd, &address.any, &size), 0);
        close(fd);
        port = address_port(&address);
    } while (port > UINT16_MAX - PORTS);
    return port;
}

static struct config *load_config(const char *domain)
{
    char ports[32];
    struct config *loaded;
    snprintf(ports, sizeof ports, "%u-%u", first_port, first_port + PORTS - 1);
    char *arguments[] = {"serve",
                         "--token",
                         "secret",
                         "--state",
                         folder,
                         "--edge-domain",
                         (char *)domain,
                         "--edge-ports",
                         ports,
                         "--edge-bind",
                         "127.0.0.1",
                         "--edge-https",
                         "127.0.0.1:0",
                         "--max-sockets-per-owner",
                         "3",
                         NULL};
    if (config_load((int)(sizeof arguments / sizeof arguments[0]) - 1, arguments, &loaded, error,
                    sizeof error) < 0)
        fail_msg("%s", error);
    config_set_edge_ports(loaded, 0, 8443);
    return loaded;
}

static void open_sockets(void)
{
    assert_int_equal(directory_new(&directory), 0);
    if (sockets_open(loop, config, &host, &sockets, error, sizeof error) < 0)
        fail_msg("%s", error);
}

static void close_sockets(void)
{
    sockets_close(sockets);
    directory_free(directory);
    sockets = NULL;
    directory = NULL;
}

static int set_up(void **state)
{
    memset(changes, 0, sizeof changes);
    memset(starts, 0, sizeof starts);
    memset(stops, 0, sizeof stops);
    answer_count = closed_count = 0;
    strcpy(folder, "/tmp/streamplex-sockets-XXXXXX");
    if (!mkdtemp(folder) || loop_new(&loop) < 0)
        return -1;
    first_port = find_port();
    config = load_config("edge.test");
    open_sockets();
    return 0;
}

static void drop_answers(void)
{
    while (answer_count)
        socket_question_free(answers[--answer_count]);
}

static int tear_down(void **state)
{
    drop_answers();
    close_sockets();
    config_unref(config);
    loop_free(loop);
    DIR *entries = opendir(folder);
    for (struct dirent *entry; entries && (entry = readdir(entries));)
        if (entry->d_name[0] != '.')
            unlink(below(entry->d_name));
    closedir(entries);
    return rmdir(folder);
}

static struct tunnel_ref tunnel(uint32_t slot)
{
    return (struct tunnel_ref){.worker = 1, .slot = slot, .generation = 3};
}

static void on_answer(struct loop_message *message)
{
    answers[answer_count++] = (struct socket_question *)(void *)message;
}

static struct socket_question *make_question(const char *owner, const char *name,
                                             enum socket_type type, uint32_t slot)
{
    struct socket_question *question = socket_question_new();
    assert_non_null(question);
    question->reply_to = loop;
    question->answered = on_answer;
    question->ref = tunnel(slot);
    strcpy(question->owner, owner);
    strcpy(question->name, name);
    strcpy(question->service, "web");
    question->type = type;
    return question;
}

static void ask(const char *owner, const char *name, enum socket_type type, uint32_t slot)
{
    sockets_ask(sockets, loop, make_question(owner, name, type, slot));
}

static bool has_answers(void *user)
{
    return answer_count >= *(int *)user;
}

static void wait_for_answers(int count)
{
    test_run_until(loop, has_answers, &count);
    assert_int_equal(answer_count, count);
}

/* Asks, waits, and gives the only answer. */
static const struct socket_question *ask_one(const char *owner, const char *name,
                                             enum socket_type type, uint32_t slot)
{
    drop_answers();
    ask(owner, name, type, slot);
    wait_for_answers(1);
    return answers[0];
}

static size_t presences_of(uint64_t id)
{
    return directory_presences(directory_find_id(directory, id));
}

static bool is_online(void *user)
{
    return changes[REGISTRY_ONLINE] >= *(int *)user;
}

static bool is_offline(void *user)
{
    return changes[REGISTRY_OFFLINE] >= *(int *)user;
}

/* Connects to a port here; -1: refused. */
static int visit(uint16_t port)
{
    union address address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(address_from_host("127.0.0.1", port, &address), 0);
    if (connect(fd, &address.any, address_size(&address)) == 0)
        return fd;
    assert_int_equal(errno, ECONNREFUSED);
    close(fd);
    return -1;
}

/* Another program, that listens there. */
static int take_port(uint16_t port)
{
    union address address;
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(address_from_host("127.0.0.1", port, &address), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
    assert_int_equal(bind(fd, &address.any, address_size(&address)), 0);
    assert_int_equal(listen(fd, 1), 0);
    return fd;
}

/* --- Questions --- */

static void test_a_socket_is_made_and_served(void **state)
{
    const struct socket_question *answer = ask_one("ann", "Youpi", SOCKET_HTTP, 1);
    assert_int_equal(answer->error, REGISTRY_OK);
    assert_string_equal(answer->facts->name, "Youpi");
    char url[300];
    snprintf(url, sizeof url, "https://%s:8443", answer->facts->hostname);
    assert_string_equal(answer->url, url);
    assert_int_equal(answer->port, 8443);
    /* visitors find it before the agent hears of it */
    assert_int_equal(presences_of(answer->facts->id), 1);
    assert_int_equal(changes[REGISTRY_PUT], 1);
    assert_int_equal(changes[REGISTRY_ONLINE], 1);
}

static void test_a_socket_is_the_same_after_a_restart(void **state)
{
    char hostname[300];
    strcpy(hostname, ask_one("ann", "a", SOCKET_HTTP, 1)->facts->hostname);
    uint16_t port = ask_one("ann", "b", SOCKET_TCP, 1)->port;
    close_sockets();
    memset(changes, 0, sizeof changes);
    open_sockets();
    assert_int_equal(changes[REGISTRY_PUT], 2); /* known before an agent comes */
    assert_non_null(directory_find_host(directory, hostname, strlen(hostname)));
    assert_string_equal(ask_one("ann", "a", SOCKET_HTTP, 1)->facts->hostname, hostname);
    assert_int_equal(ask_one("ann", "b", SOCKET_TCP, 1)->port, port);
    assert_int_equal(changes[REGISTRY_PUT], 2);
    assert_int_equal(ask_one("bob", "b", SOCKET_HTTP, 2)->facts->id, 3);
}

static void test_an_id_that_is_no_more_is_not_given_again(void **state)
{
    sqlite3 *database;
    assert_int_equal(ask_one("ann", "a", SOCKET_HTTP, 1)->facts->id, 1);
    close_sockets();
    assert_int_equal(sqlite3_open(below("streamplex.db"), &database), SQLITE_OK);
    assert_int_equal(sqlite3_exec(database, "DELETE FROM sockets", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(database);
    open_sockets();
    assert_int_equal(ask_one("ann", "a", SOCKET_HTTP, 1)->facts->id, 2);
}

static void test_questions_for_one_socket_wait_in_line(void **state)
{
    ask("ann", "a", SOCKET_HTTP, 1);
    ask("ann", "a", SOCKET_HTTP, 2);
    ask("ann", "a", SOCKET_HTTP, 3);
    wait_for_answers(3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(answers[i]->error, REGISTRY_OK);
        assert_int_equal(answers[i]->ref.slot, i + 1);
        assert_ptr_equal(answers[i]->facts, answers[0]->facts);
    }
    assert_int_equal(changes[REGISTRY_PUT], 1); /* stored once */
    assert_int_equal(presences_of(1), 3);
}

static void test_who_waits_in_line_gets_what_it_asked_for(void **state)
{
    struct socket_question *second = make_question("ann", "a", SOCKET_HTTP, 2);
    second->https_only = true;
    strcpy(second->host_header, "localhost");
    ask("ann", "a", SOCKET_HTTP, 1);
    sockets_ask(sockets, loop, second);
    wait_for_answers(2);
    assert_false(answers[0]->facts->https_only);
    assert_true(answers[1]->facts->https_only);
    assert_string_equal(answers[1]->facts->host_header, "localhost");
    assert_int_equal(answers[1]->facts->id, answers[0]->facts->id);
    assert_int_equal(presences_of(1), 2);
    assert_true(directory_facts(directory_find_id(directory, 1))->https_only);
}

static void test_refusals_are_answered(void **state)
{
    struct socket_question *question = make_question("bob", "b", SOCKET_HTTP, 2);
    strcpy(question->hostname, ask_one("ann", "a", SOCKET_HTTP, 1)->facts->hostname);
    drop_answers();
    sockets_ask(sockets, loop, question);
    wait_for_answers(1);
    assert_int_equal(answers[0]->error, REGISTRY_TAKEN);
    assert_null(answers[0]->facts);
    assert_int_equal(ask_one("ann", "b", SOCKET_HTTP, 1)->error, REGISTRY_OK);
    assert_int_equal(ask_one("ann", "c", SOCKET_HTTP, 1)->error, REGISTRY_OK);
    assert_int_equal(ask_one("ann", "d", SOCKET_HTTP, 1)->error, REGISTRY_TOO_MANY);
}

static void test_what_cannot_be_stored_is_nobodys(void **state)
{
    struct rlimit before, none;
    struct socket_question *questions[3];
    for (uint32_t i = 0; i < 3; i++) {
        questions[i] = make_question(i < 2 ? "ann" : "bob", "a", SOCKET_HTTP, i);
        strcpy(questions[i]->hostname, "foo");
    }
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    none = before;
    none.rlim_cur = 1024;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    sockets_ask(sockets, loop, questions[0]);
    sockets_ask(sockets, loop, questions[1]);
    wait_for_answers(2);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(answers[0]->error, REGISTRY_STORE);
    assert_int_equal(answers[1]->error, REGISTRY_STORE);
    assert_int_equal(changes[REGISTRY_PUT], 0);
    sockets_ask(sockets, loop, questions[2]);
    wait_for_answers(3);
    assert_int_equal(answers[2]->error, REGISTRY_OK);
    assert_string_equal(answers[2]->facts->hostname, "foo.edge.test");
}

static void test_a_tunnel_gone_meanwhile_serves_nothing(void **state)
{
    ask("ann", "a", SOCKET_TCP, 1);
    sockets_tunnel_gone(sockets, loop, tunnel(1));
    wait_for_answers(1);
    uint16_t port = answers[0]->facts->port;
    assert_int_equal(changes[REGISTRY_PUT], 1); /* stored it is */
    assert_int_equal(changes[REGISTRY_ONLINE], 0);
    assert_int_equal(visit(port), -1);
    assert_int_equal(ask_one("ann", "a", SOCKET_TCP, 2)->port, port);
    assert_int_equal(presences_of(1), 1);
}

static void test_a_newer_self_closes_the_stale_tunnel(void **state)
{
    for (uint32_t slot = 1; slot <= 2; slot++) {
        struct socket_question *question = make_question("ann", "a", SOCKET_HTTP, slot);
        strcpy(question->instance, "laptop-1");
        sockets_ask(sockets, loop, question);
    }
    wait_for_answers(2);
    assert_int_equal(closed_count, 1);
    assert_int_equal(closed[0].slot, 1);
    assert_int_equal(presences_of(1), 1);
}

static void test_what_is_on_its_way_at_the_end_is_freed(void **state)
{
    ask("ann", "a", SOCKET_HTTP, 1);
    ask("bob", "a", SOCKET_TCP, 2);
    test_run_for(loop, 0); /* on their way to disk, or there */
    drop_answers();
    ask("cyd", "a", SOCKET_HTTP, 3);
    sockets_tunnel_gone(sockets, loop, tunnel(2));
}

/* --- Ports --- */

static void test_workers_with_tunnels_accept_at_the_port(void **state)
{
    const struct socket_question *answer = ask_one("ann", "ssh", SOCKET_TCP, 7);
    uint16_t port = answer->port;
    char url[64];
    snprintf(url, sizeof url, "edge.test:%u", port);
    assert_string_equal(answer->url, url);
    assert_in_range(port, first_port, first_port + PORTS - 1);
    int fd = visit(port);
    assert_true(fd >= 0);
    assert_int_equal(starts[1], 1);
    assert_int_equal(accepting, answer->facts->id);
    assert_true(was_known);
    ask_one("ann", "ssh", SOCKET_TCP, 8);
    assert_int_equal(starts[1], 2);
    int wanted = 1;
    sockets_tunnel_gone(sockets, loop, tunnel(7));
    test_run_until(loop, is_offline, &wanted);
    assert_int_equal(stops[1], 1);
    wanted = 2;
    sockets_tunnel_gone(sockets, loop, tunnel(8));
    test_run_until(loop, is_offline, &wanted);
    assert_int_equal(stops[1], 2);
    assert_int_equal(starts[0] + stops[0], 0);
    char byte;
    assert_int_equal(recv(fd, &byte, 1, 0), -1); /* nobody took it */
    assert_int_equal(errno, ECONNRESET);
    close(fd);
    assert_int_equal(visit(port), -1);
}

static void test_a_port_of_another_program_is_passed_over(void **state)
{
    int fd = take_port(first_port);
    const struct socket_question *answer = ask_one("ann", "ssh", SOCKET_TCP, 1);
    assert_int_equal(answer->error, REGISTRY_OK);
    assert_in_range(answer->port, first_port + 1, first_port + PORTS - 1);
    close(fd);
}

static void test_an_old_port_of_another_program_is_an_error(void **state)
{
    uint16_t port = ask_one("ann", "ssh", SOCKET_TCP, 1)->port;
    int wanted = 1;
    sockets_tunnel_gone(sockets, loop, tunnel(1));
    test_run_until(loop, is_offline, &wanted);
    int fd = take_port(port);
    assert_int_equal(ask_one("ann", "ssh", SOCKET_TCP, 2)->error, REGISTRY_NO_PORT);
    close(fd);
    assert_int_equal(ask_one("ann", "ssh", SOCKET_TCP, 2)->port, port);
}

static void test_draining_takes_no_more(void **state)
{
    uint16_t port = ask_one("ann", "ssh", SOCKET_TCP, 1)->port;
    ask("bob", "a", SOCKET_TCP, 2); /* on its way */
    sockets_drain(sockets);
    assert_int_equal(visit(port), -1);
    wait_for_answers(2);
    assert_int_equal(answers[1]->error, REGISTRY_DRAINING);
    assert_int_equal(ask_one("ann", "ssh", SOCKET_TCP, 1)->error, REGISTRY_DRAINING);
    assert_int_equal(presences_of(1), 1);
}

/* --- Life --- */

static void test_a_reload_changes_the_domain_of_new_ones(void **state)
{
    struct config *other = load_config("other.test");
    config_set_edge_ports(other, 0, 443);
    char before[300];
    strcpy(before, ask_one("ann", "a", SOCKET_HTTP, 1)->facts->hostname);
    assert_int_equal(sockets_configure(sockets, other), 0);
    config_unref(other);
    assert_string_equal(ask_one("ann", "a", SOCKET_HTTP, 1)->facts->hostname, before);
    const struct socket_question *answer = ask_one("ann", "b", SOCKET_HTTP, 1);
    assert_non_null(strstr(answer->facts->hostname, ".other.test"));
    assert_string_equal(strrchr(answer->url, '.'), ".test"); /* 443 isn't said */
}

static void test_what_needs_https_is_refused_without_it(void **state)
{
    struct socket_question *question = make_question("ann", "only", SOCKET_HTTP, 1);
    struct config *other = load_config("edge.test");
    config_set_edge_ports(other, 8080, 0);
    assert_int_equal(sockets_configure(sockets, other), 0);
    config_unref(other);
    question->https_only = true;
    sockets_ask(sockets, loop, question);
    wait_for_answers(1);
    assert_int_equal(answers[0]->error, REGISTRY_NO_HTTPS);
    assert_int_equal(ask_one("ann", "tls", SOCKET_PASSTHROUGH, 1)->error, REGISTRY_NO_HTTPS);
    assert_int_equal(ask_one("ann", "page", SOCKET_HTTPS, 1)->error, REGISTRY_OK);
}

static void count_changes(void *user, const struct registry_change *change)
{
    ++*(int *)user;
}

static void test_a_new_directory_is_told_of_all(void **state)
{
    int count = 0, wanted = 2;
    ask("ann", "a", SOCKET_HTTP, 1);
    ask("bob", "a", SOCKET_HTTP, 2);
    test_run_until(loop, is_online, &wanted);
    sockets_each(sockets, count_changes, &count);
    assert_int_equal(count, 4);
}

static void test_a_folder_in_use_is_said(void **state)
{
    struct sockets *second = NULL;
    assert_int_equal(sockets_open(loop, config, &host, &second, error, sizeof error), -1);
    assert_null(second);
    assert_non_null(strstr(error, "another server"));
}

int main(void)
{
    log_configure(LOG_ERROR, LOG_TEXT_FORMAT);
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_a_socket_is_made_and_served),
        TEST(test_a_socket_is_the_same_after_a_restart),
        TEST(test_an_id_that_is_no_more_is_not_given_again),
        TEST(test_questions_for_one_socket_wait_in_line),
        TEST(test_who_waits_in_line_gets_what_it_asked_for),
        TEST(test_refusals_are_answered),
        TEST(test_what_cannot_be_stored_is_nobodys),
        TEST(test_a_tunnel_gone_meanwhile_serves_nothing),
        TEST(test_a_newer_self_closes_the_stale_tunnel),
        TEST(test_what_is_on_its_way_at_the_end_is_freed),
        TEST(test_workers_with_tunnels_accept_at_the_port),
        TEST(test_a_port_of_another_program_is_passed_over),
        TEST(test_an_old_port_of_another_program_is_an_error),
        TEST(test_draining_takes_no_more),
        TEST(test_a_reload_changes_the_domain_of_new_ones),
        TEST(test_what_needs_https_is_refused_without_it),
        TEST(test_a_new_directory_is_told_of_all),
        TEST(test_a_folder_in_use_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
