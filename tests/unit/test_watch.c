/* Edge-triggered watches: who gets which event. */
#include "net_test.h"

#include "net/watch.h"

static struct loop *loop;

struct watched {
    struct watch watch;
    int count;
    uint32_t events;
    void (*then)(struct watched *watched);
};

static void on_events(struct watch *watch, uint32_t events)
{
    struct watched *watched = (struct watched *)(void *)watch;
    watched->count++;
    watched->events |= events;
    if (watched->then)
        watched->then(watched);
}

static void make_pair(int fds[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
}

static void test_readiness_is_told_once_until_it_changes(void **state)
{
    struct watched watched = {.watch.run = on_events};
    int fds[2];
    make_pair(fds);
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_int_equal(watch_add(loop, &watched.watch, fds[0], EPOLLIN), 0);
    test_run_for(loop, 3000);
    assert_int_equal(watched.count, 1);
    assert_int_equal(write(fds[1], "x", 1), 1);
    test_run_for(loop, 3000);
    assert_int_equal(watched.count, 2);
    assert_int_equal(watched.events, EPOLLIN);
    assert_int_equal(watch_extend(loop, &watched.watch, EPOLLOUT), 0);
    test_run_for(loop, 3000);
    assert_int_equal(watched.events, EPOLLIN | EPOLLOUT);
    watch_remove(loop, &watched.watch);
    watched.count = 0;
    assert_int_equal(write(fds[1], "x", 1), 1);
    test_run_for(loop, 3000);
    assert_int_equal(watched.count, 0);
    close(fds[0]);
    close(fds[1]);
}

static struct watched victims[2], heir;
static int heir_fds[2];

/* Whichever of the two comes first closes the other one, whose number and place the heir takes. */
static void replace_the_other(struct watched *watched)
{
    struct watched *other = watched == &victims[0] ? &victims[1] : &victims[0];
    int fd = other->watch.fd;
    watch_forget(loop, &other->watch);
    close(fd);
    make_pair(heir_fds);
    if (heir_fds[0] != fd && heir_fds[1] != fd) {
        assert_int_equal(dup2(heir_fds[0], fd), fd);
        close(heir_fds[0]);
        heir_fds[0] = fd;
    } else if (heir_fds[1] == fd) {
        heir_fds[1] = heir_fds[0];
        heir_fds[0] = fd;
    }
    assert_int_equal(watch_add(loop, &heir.watch, fd, EPOLLIN), 0);
    watched->then = NULL;
    other->then = NULL;
}

static void test_event_of_a_closed_socket_misses_its_numbers_heir(void **state)
{
    int fds[2][2];
    heir = (struct watched){.watch.run = on_events};
    for (int i = 0; i < 2; i++) {
        victims[i] = (struct watched){.watch.run = on_events, .then = replace_the_other};
        make_pair(fds[i]);
        assert_int_equal(watch_add(loop, &victims[i].watch, fds[i][0], EPOLLIN), 0);
        assert_int_equal(write(fds[i][1], "x", 1), 1);
    }
    test_run_for(loop, 3000);
    assert_int_equal(victims[0].count + victims[1].count, 1);
    assert_int_equal(heir.count, 0);
    assert_int_equal(write(heir_fds[1], "x", 1), 1);
    test_run_for(loop, 3000);
    assert_int_equal(heir.count, 1);
    for (int i = 0; i < 2; i++) {
        if (victims[i].count) {
            watch_forget(loop, &victims[i].watch);
            close(fds[i][0]);
        }
        close(fds[i][1]);
    }
    watch_forget(loop, &heir.watch);
    close(heir_fds[0]);
    close(heir_fds[1]);
}

/* As while a child is being started: a copy keeps the closed socket in the epoll. */
static void test_copy_of_a_closed_socket_wakes_nobody(void **state)
{
    struct watched watched = {.watch.run = on_events};
    int fds[2];
    make_pair(fds);
    assert_int_equal(watch_add(loop, &watched.watch, fds[0], EPOLLIN), 0);
    int copy = dup(fds[0]);
    watch_forget(loop, &watched.watch);
    close(fds[0]);
    assert_int_equal(write(fds[1], "x", 1), 1);
    test_run_for(loop, 3000);
    assert_int_equal(watched.count, 0);
    close(copy);
    close(fds[1]);
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
        cmocka_unit_test(test_readiness_is_told_once_until_it_changes),
        cmocka_unit_test(test_event_of_a_closed_socket_misses_its_numbers_heir),
        cmocka_unit_test(test_copy_of_a_closed_socket_wakes_nobody),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
