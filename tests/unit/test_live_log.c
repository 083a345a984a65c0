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

static void test_lines_of_a_turn_are_written_together(void **state)
{
    char text[64];
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    write_line("one");
    write_line("two");
    assert_int_equal(read(fds[0], text, sizeof text), -1);
    loop_settle(loop);
    assert_int_equal(read(fds[0], text, sizeof text), 8);
    assert_memory_equal(text, "one\ntwo\n", 8);
    loop_settle(loop);
    assert_int_equal(read(fds[0], text, sizeof text), -1);
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
    loop_settle(loop);
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
        cmocka_unit_test_setup_teardown(test_many_lines_are_all_there, open_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(test_a_long_line_is_cut, open_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(test_a_reader_that_doesnt_read_is_not_waited_for, open_pipe,
                                        close_pipe),
        cmocka_unit_test_setup_teardown(test_a_reader_that_left_is_no_matter, open_pipe,
                                        close_pipe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
