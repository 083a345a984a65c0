/* Listening sockets: real ports, takeover of sockets, and what happens without descriptors. */
#include "net_test.h"

#include <fcntl.h>
#include <netinet/tcp.h>
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
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
