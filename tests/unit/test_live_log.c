#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/live_log.h"
#include "net_test.h"

static int fds[2];
static struct loop *loop;
static struct live_log live;

static int open_pipe(void **state)
{
    if (pipe2(fds, O_CLOEXEC) < 0 || loop_new(&loop) < 0)
        return -1;
    live_log_init(&live, loop, fds[1]);
    return 0;
}

static int close_pipe(void **state)
{
    live_log_deinit(&live);
    loop_free(loop);
    close(fds[0]);
    close(fds[1]);
    return 0;
}

static void write_line(const char *line)
{
    live_log_line(&live, line, strlen(line));
}

/* What can be read now, and nothing else. */
static void expect_text(const char *expected)
{
    char text[256];
    ssize_t size = read(fds[0], text, sizeof text - 1);
    text[size < 0 ? 0 : size] = '\0';
    assert_string_equal(text, expected);
}

static void test_lines_of_a_turn_are_written_together(void **state)
{
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    write_line("one");
    write_line("two");
    expect_text("");
    loop_settle(loop);
    expect_text("one\ntwo\n");
    loop_settle(loop);
    expect_text("");
}

/* Timers of one time run in their order, however late the machine is. */
static struct timer early, late;

static void look_early(struct timer *timer)
{
    expect_text("");
    write_line("three");
}

static void look_late(struct timer *timer)
{
    expect_text("two\nthree\n");
    loop_stop(loop);
}

static void test_lines_soon_after_a_write_wait_for_the_next(void **state)
{
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    loop_update_now(loop);
    write_line("one");
    loop_settle(loop);
    expect_text("one\n");
    write_line("two");
    timer_init(&early, loop, look_early);
    timer_init(&late, loop, look_late);
    timer_start(&early, loop_now(loop) + LIVE_LOG_PAUSE - 2 * TIMER_GRAIN);
    timer_start(&late, loop_now(loop) + LIVE_LOG_PAUSE + 2 * TIMER_GRAIN);
    loop_run(loop);
    expect_text("");
}

static void test_a_line_long_after_a_write_waits_for_nothing(void **state)
{
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    write_line("one");
    loop_settle(loop);
    test_run_for(loop, LIVE_LOG_PAUSE);
    expect_text("one\n");
    write_line("two");
    loop_settle(loop);
    expect_text("two\n");
}

/* The pause begins anew with a write that a full buffer asked for. */
static void test_a_full_buffer_goes_at_once(void **state)
{
    char line[PIPE_BUF - 10], text[PIPE_BUF * 2];
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    memset(line, 'x', sizeof line);
    write_line("one");
    loop_settle(loop);
    expect_text("one\n");
    write_line("two");
    live_log_line(&live, line, sizeof line);
    expect_text("");
    write_line("three");
    assert_int_equal(read(fds[0], text, sizeof text), 4 + sizeof line + 1);
    loop_settle(loop);
    expect_text("");
    test_run_for(loop, 2 * LIVE_LOG_PAUSE);
    expect_text("three\n");
}

static void test_the_end_writes_what_waits(void **state)
{
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    write_line("one");
    loop_settle(loop);
    write_line("two");
    live_log_deinit(&live);
    expect_text("one\ntwo\n");
    test_run_for(loop, 2 * LIVE_LOG_PAUSE);
    expect_text("");
}

/* Nothing is cut in two: what a write of theirs can't hold goes before. */
static void test_many_lines_are_all_there(void **state)
{
    char line[1000], text[65536];
    memset(line, 'y', sizeof line);
    for (int i = 0; i < 9; i++)
        live_log_line(&live, line, sizeof line);
    assert_int_equal(read(fds[0], text, sizeof text), 2 * 4 * 1001);
    live_log_deinit(&live); /* the last waits for the end of the turn, or of all */
    assert_int_equal(read(fds[0], text, sizeof text), 1001);
    assert_int_equal(live.missed, 0);
}

static void test_a_long_line_is_cut(void **state)
{
    char line[PIPE_BUF + 100], text[PIPE_BUF * 2];
    memset(line, 'x', sizeof line);
    live_log_line(&live, line, sizeof line);
    loop_settle(loop);
    assert_int_equal(read(fds[0], text, sizeof text), PIPE_BUF);
    assert_int_equal(text[PIPE_BUF - 1], '\n');
}

/* Were it to wait, this test would never end. */
static void test_a_reader_that_doesnt_read_is_not_waited_for(void **state)
{
    char line[1000], text[65536];
    uint64_t missed;
    memset(line, 'x', sizeof line);
    for (int i = 0; i < 500; i++)
        live_log_line(&live, line, sizeof line);
    loop_settle(loop);
    missed = live.missed;
    assert_in_range(missed, 400, 499);
    assert_true(read(fds[0], text, sizeof text) > 0);
    write_line("again");
    test_run_for(loop, 2 * LIVE_LOG_PAUSE);
    assert_int_equal(live.missed, 0);
}

static void test_a_reader_that_left_is_no_matter(void **state)
{
    signal(SIGPIPE, SIG_IGN); /* as a loop does */
    close(fds[0]);
    fds[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    write_line("one");
    loop_settle(loop);
    assert_int_equal(live.missed, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_lines_of_a_turn_are_written_together, open_pipe,
                                        close_pipe),
        cmocka_unit_test_setup_teardown(test_lines_soon_after_a_write_wait_for_the_next, open_pipe,
                                        close_pipe),
        cmocka_unit_test_setup_teardown(test_a_line_long_after_a_write_waits_for_nothing, open_pipe,
                                        close_pipe),
        cmocka_unit_test_setup_teardown(test_a_full_buffer_goes_at_once, open_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(test_the_end_writes_what_waits, open_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(test_many_lines_are_all_there, open_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(test_a_long_line_is_cut, open_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(test_a_reader_that_doesnt_read_is_not_waited_for, open_pipe,
                                        close_pipe),
        cmocka_unit_test_setup_teardown(test_a_reader_that_left_is_no_matter, open_pipe,
                                        close_pipe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
