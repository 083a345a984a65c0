/* Listening sockets: real ports, takeover of sockets, and what happens without descriptors. */
#include "net_test.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>

#include "base/log.h"
#include "net/acceptor.h"

static struct loop *loop;

struct accepted {
    struct acceptor *acceptor;
    int count, wanted;
    int fds[256];
    union address peer;
    bool close_after; /* the acceptor, within its callback */
};

static void on_accept(struct acceptor *acceptor, int fd, const union address *peer, void *user)
{
    struct accepted *accepted = user;
    accepted->fds[accepted->count++] = fd;
    accepted->peer = *peer;
    if (accepted->close_after) {
        acceptor_close(acceptor);
        accepted->acceptor = NULL;
    }
}

static bool has_all(void *user)
{
    struct accepted *accepted = user;
    return accepted->count >= accepted->wanted;
}

static void open_on(struct accepted *accepted, const char *text, union address *ret_address)
{
    union address address;
    *accepted = (struct accepted){0};
    assert_int_equal(address_parse(text, &address), 0);
    assert_int_equal(acceptor_open(loop, &address, on_accept, accepted, &accepted->acceptor), 0);
    acceptor_address(accepted->acceptor, ret_address);
    assert_int_not_equal(address_port(ret_address), 0);
}

static int connect_to(const union address *address)
{
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, &address->any, address_size(address)), 0);
    return fd;
}

static void close_all(struct accepted *accepted)
{
    for (int i = 0; i < accepted->count; i++)
        close(accepted->fds[i]);
    acceptor_close(accepted->acceptor);
    test_run_for(loop, 0);
}

static void test_accepted_sockets_are_ready_for_use(void **state)
{
    struct accepted accepted;
    union address address, local;
    socklen_t size = sizeof local;
    int nodelay;
    open_on(&accepted, "127.0.0.1:0", &address);
    int fd = connect_to(&address);
    accepted.wanted = 1;
    test_run_until(loop, has_all, &accepted);
    assert_true(fcntl(accepted.fds[0], F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(accepted.fds[0], F_GETFD) & FD_CLOEXEC);
    size = sizeof nodelay;
    assert_int_equal(getsockopt(accepted.fds[0], IPPROTO_TCP, TCP_NODELAY, &nodelay, &size), 0);
    assert_int_not_equal(nodelay, 0);
    size = sizeof local;
    assert_int_equal(getsockname(fd, &local.any, &size), 0);
    assert_true(address_equal(&accepted.peer, &local));
    close(fd);
    close_all(&accepted);
}

static void test_wildcard_takes_both_families(void **state)
{
    struct accepted accepted;
    union address any, address;
    open_on(&accepted, ":0", &any);
    assert_int_equal(address_from_host("127.0.0.1", address_port(&any), &address), 0);
    int fd_4 = connect_to(&address);
    assert_int_equal(address_from_host("::1", address_port(&any), &address), 0);
    int fd_6 = connect_to(&address);
    accepted.wanted = 2;
    test_run_until(loop, has_all, &accepted);
    close(fd_4);
    close(fd_6);
    close_all(&accepted);
}

static void test_taken_address_is_an_error(void **state)
{
    struct accepted accepted;
    struct acceptor *second = NULL;
    union address address;
    open_on(&accepted, "127.0.0.1:0", &address);
    assert_int_equal(acceptor_open(loop, &address, on_accept, &accepted, &second), -EADDRINUSE);
    assert_null(second);
    close_all(&accepted);
}

static void test_listening_socket_is_adopted(void **state)
{
    struct accepted accepted = {.wanted = 100};
    union address address;
    int clients[100];
    assert_int_equal(address_parse("127.0.0.1:0", &address), 0);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, &address.any, address_size(&address)), 0);
    assert_int_equal(listen(listener, 128), 0);
    assert_int_equal(acceptor_adopt(loop, listener, on_accept, &accepted, &accepted.acceptor), 0);
    acceptor_address(accepted.acceptor, &address);
    for (int i = 0; i < 100; i++)
        clients[i] = connect_to(&address);
    test_run_until(loop, has_all, &accepted);
    for (int i = 0; i < 100; i++)
        close(clients[i]);
    close_all(&accepted);
    assert_true(fcntl(listener, F_GETFD) < 0); /* closed with its acceptor */
}

static void test_acceptor_is_closed_within_its_callback(void **state)
{
    struct accepted accepted;
    union address address;
    open_on(&accepted, "127.0.0.1:0", &address);
    accepted.wanted = 1;
    accepted.close_after = true;
    int fd_1 = connect_to(&address), fd_2 = connect_to(&address);
    test_run_until(loop, has_all, &accepted);
    test_run_for(loop, 2000);
    assert_int_equal(accepted.count, 1);
    close(fd_1);
    close(fd_2);
    close_all(&accepted);
}

/* The lines that the log wrote meanwhile. */
static int count_lines(int fd)
{
    char text[4096];
    int lines = 0;
    ssize_t n = pread(fd, text, sizeof text, 0);
    for (ssize_t i = 0; i < n; i++)
        lines += text[i] == '\n';
    return lines;
}

static void test_without_descriptors_it_waits_and_loses_nobody(void **state)
{
    struct accepted accepted;
    union address address;
    struct rlimit before, none;
    int saved_stderr = dup(2), clients[3];
    FILE *log = tmpfile();
    open_on(&accepted, "127.0.0.1:0", &address);
    accepted.wanted = 3;
    for (int i = 0; i < 3; i++)
        clients[i] = connect_to(&address);
    fflush(stderr);
    dup2(fileno(log), 2);
    int next = dup(0);
    close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = (rlim_t)next + 1; /* one more, and no second */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    test_run_for(loop, 250000); /* several tries */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    dup2(saved_stderr, 2);
    close(saved_stderr);
    assert_int_equal(accepted.count, 1);
    assert_int_equal(count_lines(fileno(log)), 1); /* not one a try */
    fclose(log);
    test_run_until(loop, has_all, &accepted);
    for (int i = 0; i < 3; i++)
        close(clients[i]);
    close_all(&accepted);
}

/* --- Sockets that loops share --- */

#define THREADS 4
#define VISITS  50

/* A loop that accepts on a thread of its own. */
struct sharer {
    struct loop *loop;
    struct acceptor *acceptor;
    pthread_t thread;
    struct loop_message start, stop;
    struct listening *listening;
    long sleeps; /* from its start to its stop */
    long sleeps_before;
};

static atomic_int shared_count, started;

static void on_shared(struct acceptor *acceptor, int fd, const union address *peer, void *user)
{
    close(fd);
    atomic_fetch_add(&shared_count, 1);
}

static long count_sleeps(void)
{
    struct rusage usage;
    assert_int_equal(getrusage(RUSAGE_THREAD, &usage), 0);
    return usage.ru_nvcsw;
}

static void start_sharer(struct loop_message *message)
{
    struct sharer *sharer =
        (struct sharer *)(void *)((char *)message - offsetof(struct sharer, start));
    assert_int_equal(
        acceptor_share(sharer->loop, sharer->listening, on_shared, sharer, &sharer->acceptor), 0);
    sharer->sleeps_before = count_sleeps();
    atomic_fetch_add(&started, 1);
}

static void stop_sharer(struct loop_message *message)
{
    struct sharer *sharer =
        (struct sharer *)(void *)((char *)message - offsetof(struct sharer, stop));
    sharer->sleeps = count_sleeps() - sharer->sleeps_before;
    acceptor_close(sharer->acceptor);
    loop_stop(sharer->loop);
}

static void *run_sharer(void *argument)
{
    loop_run(((struct sharer *)argument)->loop);
    return NULL;
}

static void await(atomic_int *counter, int wanted)
{
    for (int i = 0; i < 20000 && atomic_load(counter) < wanted; i++)
        usleep(1000);
    assert_true(atomic_load(counter) >= wanted);
}

static void test_one_of_those_that_share_is_woken(void **state)
{
    struct sharer sharers[THREADS] = {0};
    struct listening *listening;
    union address address;
    long sleeps = 0;
    assert_int_equal(address_parse("127.0.0.1:0", &address), 0);
    assert_int_equal(listening_open(&address, &listening), 0);
    listening_address(listening, &address);
    for (int i = 0; i < THREADS; i++) {
        sharers[i].listening = listening;
        sharers[i].start.run = start_sharer;
        sharers[i].stop.run = stop_sharer;
        assert_int_equal(loop_new(&sharers[i].loop), 0);
        assert_int_equal(pthread_create(&sharers[i].thread, NULL, run_sharer, &sharers[i]), 0);
        loop_post(sharers[i].loop, &sharers[i].start);
    }
    await(&started, THREADS);
    for (int i = 0; i < VISITS; i++) {
        close(connect_to(&address));
        await(&shared_count, i + 1);
    }
    for (int i = 0; i < THREADS; i++) {
        loop_post(sharers[i].loop, &sharers[i].stop);
        pthread_join(sharers[i].thread, NULL);
        loop_free(sharers[i].loop);
        sleeps += sharers[i].sleeps;
    }
    assert_int_equal(atomic_load(&shared_count), VISITS);
    assert_true(sleeps < 2 * VISITS); /* and not THREADS * VISITS */
    listening_unref(listening);
}

/* Its references may live on for a while: the address doesn't wait for them. */
static void test_a_stopped_socket_frees_its_address(void **state)
{
    struct accepted accepted = {0};
    struct listening *listening, *next;
    union address address;
    char byte;
    assert_int_equal(address_parse("127.0.0.1:0", &address), 0);
    assert_int_equal(listening_open(&address, &listening), 0);
    listening_address(listening, &address);
    assert_int_equal(acceptor_share(loop, listening, on_accept, &accepted, &accepted.acceptor), 0);
    int fd = connect_to(&address); /* waits in the backlog */
    listening_stop(listening);
    assert_int_equal(recv(fd, &byte, 1, 0), -1);
    assert_int_equal(errno, ECONNRESET);
    close(fd);
    assert_int_equal(listening_open(&address, &next), 0);
    fd = connect_to(&address);
    test_run_for(loop, 2000);
    assert_int_equal(accepted.count, 0);
    close(fd);
    listening_unref(next);
    listening_unref(listening);
    close_all(&accepted);
}

/* A service manager's socket isn't ours to stop: the next server takes who waits there. */
static void test_an_adopted_socket_goes_on_without_us(void **state)
{
    struct accepted accepted = {0}, after = {.wanted = 1};
    struct listening *listening;
    union address address;
    assert_int_equal(address_parse("127.0.0.1:0", &address), 0);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, &address.any, address_size(&address)), 0);
    assert_int_equal(listen(fd, 8), 0);
    int kept = dup(fd);
    assert_int_equal(listening_adopt(fd, &listening), 0);
    listening_address(listening, &address);
    assert_int_equal(acceptor_share(loop, listening, on_accept, &accepted, &accepted.acceptor), 0);
    listening_stop(listening);
    int client = connect_to(&address);
    test_run_for(loop, 2000);
    assert_int_equal(accepted.count, 0);
    listening_unref(listening);
    close_all(&accepted);
    assert_int_equal(acceptor_adopt(loop, kept, on_accept, &after, &after.acceptor), 0);
    test_run_until(loop, has_all, &after);
    close(client);
    close_all(&after);
}

static int option_of(int fd, int level, int name)
{
    int value = 0;
    socklen_t size = sizeof value;
    assert_int_equal(getsockopt(fd, level, name, &value, &size), 0);
    return value;
}

static void test_accepted_sockets_inherit_keepalive(void **state)
{
    struct accepted accepted = {.wanted = 1};
    struct listening *listening;
    union address address;
    assert_int_equal(address_parse("127.0.0.1:0", &address), 0);
    assert_int_equal(listening_open(&address, &listening), 0);
    listening_set_keepalive(listening);
    listening_address(listening, &address);
    assert_int_equal(acceptor_share(loop, listening, on_accept, &accepted, &accepted.acceptor), 0);
    listening_unref(listening); /* the acceptor has its own */
    int fd = connect_to(&address);
    test_run_until(loop, has_all, &accepted);
    assert_int_equal(option_of(accepted.fds[0], SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_int_equal(option_of(accepted.fds[0], IPPROTO_TCP, TCP_KEEPIDLE), 60);
    assert_int_equal(option_of(accepted.fds[0], IPPROTO_TCP, TCP_KEEPINTVL), 15);
    assert_int_equal(option_of(accepted.fds[0], IPPROTO_TCP, TCP_USER_TIMEOUT), 120000);
    assert_int_equal(option_of(accepted.fds[0], IPPROTO_TCP, TCP_NODELAY), 1);
    close(fd);
    close_all(&accepted);
}

static int set_up(void **state)
{
    return loop_new(&loop);
}

static int tear_down(void **state)
{
    loop_free(loop);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted_sockets_are_ready_for_use),
        cmocka_unit_test(test_wildcard_takes_both_families),
        cmocka_unit_test(test_taken_address_is_an_error),
        cmocka_unit_test(test_listening_socket_is_adopted),
        cmocka_unit_test(test_acceptor_is_closed_within_its_callback),
        cmocka_unit_test(test_without_descriptors_it_waits_and_loses_nobody),
        cmocka_unit_test(test_one_of_those_that_share_is_woken),
        cmocka_unit_test(test_a_stopped_socket_frees_its_address),
        cmocka_unit_test(test_an_adopted_socket_goes_on_without_us),
        cmocka_unit_test(test_accepted_sockets_inherit_keepalive),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
