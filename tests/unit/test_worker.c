/* Workers: what the main thread tells them, and their end, in any order. */
#include "net_test.h"

#include <fcntl.h>
#include <poll.h>

#include "server/admission.h"
#include "server/auth.h"
#include "server/setup.h"
#include "server/worker.h"

static struct loop *loop;
static char *folder;
static struct config *config;
static struct worker_host host;
static int drained;

static void on_drained(void *user)
{
    drained++;
    loop_stop(loop);
}

static struct worker_setup make_setup(void)
{
    struct worker_setup setup;
    char error[512];
    if (setup_make(config, false, &setup, 1, error, sizeof error) < 0)
        fail_msg("%s", error);
    return setup;
}

static struct worker *start(void)
{
    struct worker *worker = NULL;
    struct worker_setup setup = make_setup();
    assert_int_equal(worker_start(0, &host, &setup, &worker), 0);
    return worker;
}

/* A connection for the worker, counted as the server does; returns the device's end. */
static int accept_one(struct worker *worker, uint64_t id)
{
    int fds[2];
    union address peer;
    test_tcp_pair(fds);
    assert_int_equal(address_from_host("192.0.2.1", 1000, &peer), 0);
    assert_null(admission_enter(host.admission, &peer));
    worker_post_accept(worker, fds[1], &peer, id, false);
    return fds[0];
}

/* The other end ends, or is reset. */
static void await_end(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    char byte;
    assert_int_equal(poll(&poll_fd, 1, 20000), 1);
    assert_true(recv(fd, &byte, 1, 0) <= 0);
    close(fd);
}

static bool none_admitted(void *user)
{
    return admission_tunnels(host.admission) == 0;
}

static bool was_drained(void *user)
{
    return drained > 0;
}

static void test_idle_worker_starts_and_stops(void **state)
{
    worker_stop(start());
}

static void test_stop_closes_what_was_accepted(void **state)
{
    struct worker *worker = start();
    int fds[3];
    for (int i = 0; i < 3; i++)
        fds[i] = accept_one(worker, (uint64_t)i + 1);
    worker_stop(worker);
    for (int i = 0; i < 3; i++)
        await_end(fds[i]);
    test_run_until(loop, none_admitted, NULL); /* each was given back */
}

static void test_drained_is_told_once_when_the_last_tunnel_is_gone(void **state)
{
    struct worker *worker = start();
    int fd = accept_one(worker, 1);
    worker_post_drain(worker);
    await_end(fd);
    test_run_until(loop, was_drained, NULL);
    worker_post_drain(worker);
    worker_stop(worker);
    test_run_until(loop, none_admitted, NULL);
    test_run_for(loop, 1000);
    assert_int_equal(drained, 1);
}

static void test_a_draining_worker_takes_no_more(void **state)
{
    struct worker *worker = start();
    worker_post_drain(worker);
    await_end(accept_one(worker, 1));
    test_run_until(loop, none_admitted, NULL);
    worker_stop(worker);
}

/* The server stops for another reason while the word of it is under way. */
static void test_drained_told_by_a_worker_that_is_gone(void **state)
{
    struct worker *worker = start();
    worker_post_drain(worker);
    worker_stop(worker); /* orders are taken in turn: it has told */
    assert_int_equal(drained, 0);
    loop_free(loop); /* brings it, and the stop that follows doesn't keep the loop from its end */
    loop = NULL;
    assert_int_equal(drained, 1);
}

static void test_setups_are_swapped_under_tunnels(void **state)
{
    struct worker *worker = start();
    int fd = accept_one(worker, 1);
    for (int i = 0; i < 5; i++) {
        struct worker_setup setup = make_setup();
        worker_post_setup(worker, &setup);
        worker_post_heartbeat(worker);
    }
    worker_post_drain(worker);
    await_end(fd);
    worker_stop(worker);
    assert_int_equal(config->references, 1 + 1); /* ours, and auth's */
}

static bool is_alive(void *user)
{
    return ((struct worker *)user)->alive;
}

/* What was posted before has been done, and what came of it in that turn. */
static void await_turns(struct worker *worker)
{
    for (int i = 0; i < 2; i++) {
        worker->alive = false;
        worker_post_heartbeat(worker);
        test_run_until(loop, is_alive, worker);
    }
}

static void test_a_tunnel_is_closed_by_its_reference_alone(void **state)
{
    struct worker *worker = start();
    int fd = accept_one(worker, 1);
    char byte;
    worker_post_close_tunnel(worker, (struct tunnel_ref){.slot = 0, .generation = 1}, "not this");
    worker_post_close_tunnel(worker, (struct tunnel_ref){.slot = 7, .generation = 0}, "not this");
    await_turns(worker);
    assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
    worker_post_close_tunnel(worker, (struct tunnel_ref){.slot = 0, .generation = 0}, "replaced");
    await_end(fd);
    worker_stop(worker);
    test_run_until(loop, none_admitted, NULL);
}

/* A visitor for the worker's edge, counted as the server does; returns the visitor's end. */
static int visit(struct worker *worker, const char *bytes)
{
    int fds[2];
    struct edge_passed *passed = calloc(1, sizeof *passed);
    assert_non_null(passed);
    test_tcp_pair(fds);
    assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(address_from_host("192.0.2.1", 1000, &passed->peer), 0);
    passed->visitor = passed->peer;
    passed->fd = fds[1];
    passed->entry = EDGE_HTTP;
    assert_null(admission_enter(host.visitors, &passed->peer));
    assert_int_equal(write(fds[0], bytes, strlen(bytes)), strlen(bytes));
    worker_post_visitor(worker, passed);
    return fds[0];
}

static bool no_visitors(void *user)
{
    return admission_tunnels(host.visitors) == 0;
}

static void test_stop_closes_visitors(void **state)
{
    struct worker *workers[2] = {start(), start()};
    int fds[4];
    host.workers = workers;
    host.worker_count = 2;
    for (int i = 0; i < 4; i++)
        fds[i] = visit(workers[i % 2], "GET / HT");
    worker_stop_all(workers, 2, loop);
    assert_true(no_visitors(NULL)); /* the main loop was settled, too */
    for (int i = 0; i < 4; i++)
        await_end(fds[i]);
    /* and one that comes too late */
    close(visit(workers[0], ""));
    worker_free(workers[0]);
    worker_free(workers[1]);
    test_run_until(loop, no_visitors, NULL);
}

static void test_drained_waits_for_visitors(void **state)
{
    struct worker *worker = start();
    int fd = visit(worker, "GET / HT");
    await_turns(worker);
    worker_post_drain(worker);
    await_turns(worker);
    test_run_for(loop, 1000); /* what it has told arrives */
    assert_int_equal(drained, 0);
    close(fd);
    test_run_until(loop, was_drained, NULL);
    test_run_until(loop, no_visitors, NULL);
    worker_stop(worker);
    assert_int_equal(drained, 1);
}

static void test_setups_are_swapped_under_visitors(void **state)
{
    struct worker *worker = start();
    int fd = visit(worker, "GET / HTTP/1.1\r\n");
    char answer[13] = "";
    await_turns(worker);
    for (int i = 0; i < 3; i++) {
        struct worker_setup setup = make_setup();
        worker_post_setup(worker, &setup);
    }
    assert_int_equal(write(fd, "Host: a\r\n\r\n", 11), 11);
    assert_int_equal(recv(fd, answer, 12, MSG_WAITALL), 12);
    assert_string_equal(answer, "HTTP/1.1 404");
    close(fd);
    worker_stop(worker);
}

/* --- set-up --------------------------------------------------------------- */

static int set_up_with(const char *option)
{
    char error[512] = "", path[300];
    folder = test_folder();
    snprintf(path, sizeof path, "%s", folder);
    char *argv[] = {(char *)"serve",
                    (char *)"--state",
                    path,
                    (char *)"--token",
                    (char *)"secret",
                    (char *)"--log-level",
                    (char *)"error",
                    (char *)"--workers=1",
                    (char *)option,
                    NULL};
    drained = 0;
    log_configure(LOG_ERROR, LOG_TEXT_FORMAT);
    assert_int_equal(loop_new(&loop), 0);
    if (config_load(option ? 9 : 8, argv, &config, error, sizeof error) < 0)
        fail_msg("%s", error);
    assert_int_equal(admission_new(&host.admission), 0);
    admission_configure(host.admission, &(struct admission_limits){9, 9, 9, 9, NULL});
    assert_int_equal(auth_new(loop, config, &host.auth), 0);
    assert_int_equal(admission_new(&host.visitors), 0);
    admission_configure(host.visitors, &(struct admission_limits){9, 9, 9, 9, NULL});
    host.loop = loop;
    host.on_drained = on_drained;
    return 0;
}

static int set_up(void **state)
{
    return set_up_with(NULL);
}

static int set_up_edge(void **state)
{
    return set_up_with("--edge-http=127.0.0.1:0");
}

static int tear_down(void **state)
{
    auth_free(host.auth);
    loop_free(loop);
    admission_free(host.admission);
    admission_free(host.visitors);
    host.workers = NULL;
    host.worker_count = 0;
    config_unref(config);
    (void)unlink(test_path(folder, "edge/server.pem"));
    (void)unlink(test_path(folder, "edge/server.key"));
    (void)rmdir(test_path(folder, "edge"));
    test_remove_folder(folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_idle_worker_starts_and_stops, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stop_closes_what_was_accepted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_drained_is_told_once_when_the_last_tunnel_is_gone,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_draining_worker_takes_no_more, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_drained_told_by_a_worker_that_is_gone, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_setups_are_swapped_under_tunnels, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_tunnel_is_closed_by_its_reference_alone, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_stop_closes_visitors, set_up_edge, tear_down),
        cmocka_unit_test_setup_teardown(test_drained_waits_for_visitors, set_up_edge, tear_down),
        cmocka_unit_test_setup_teardown(test_setups_are_swapped_under_visitors, set_up_edge,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
