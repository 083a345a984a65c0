#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/child.h"
#include "net/timer.h"

#define SECOND 1000000u

struct outcome {
    int calls;
    int status;
    size_t length;
    char output[CHILD_OUTPUT_MAX + 1];
};

static struct loop *loop;
static struct timer guard;

static void guard_run(struct timer *timer)
{
    fail_msg("nothing happened for 10 s");
}

static int setup(void **state)
{
    if (loop_new(&loop) != 0) {
        return -1;
    }
    timer_init(&guard, loop, guard_run);
    timer_start(&guard, loop_now(loop) + 10 * SECOND);
    return 0;
}

static int teardown(void **state)
{
    timer_stop(&guard);
    loop_free(loop);
    /* nobody is left: neither running nor a zombie */
    return waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD ? 0 : -1;
}

static void exited(void *user, int status, const char *output, size_t length)
{
    struct outcome *outcome = user;
    outcome->calls++;
    outcome->status = status;
    outcome->length = length;
    memcpy(outcome->output, output, length);
    outcome->output[length] = 0;
    loop_stop(loop);
}

static struct child *start(const char *script, const char *input, uint64_t timeout,
                           struct outcome *outcome)
{
    char *argv[] = {"sh", "-c", (char *)script, NULL};
    struct child *child;
    memset(outcome, 0, sizeof(*outcome));
    assert_int_equal(
        0, child_start(loop, argv, input, strlen(input), timeout, exited, outcome, &child));
    assert_int_equal(0, outcome->calls);
    return child;
}

static void expect(const char *script, const char *input, uint64_t timeout, int status,
                   const char *output)
{
    struct outcome outcome;
    start(script, input, timeout, &outcome);
    loop_run(loop);
    assert_int_equal(1, outcome.calls);
    assert_int_equal(status, outcome.status);
    assert_string_equal(output, outcome.output);
}

static void test_input_goes_in_and_output_comes_out(void **state)
{
    expect("read token; echo \"user of $token\"", "secret\n", SECOND, 0, "user of secret\n");
    expect("cat /dev/stdin", "by its name", SECOND, 0, "by its name");
    expect("cat; exit 3", "", SECOND, 3, "");
    expect("exit 1", "not read", 0, 1, "");
}

static void test_input_larger_than_a_pipe(void **state)
{
    size_t size = 300000;
    char *input = malloc(size + 1);
    memset(input, 'x', size);
    input[size] = 0;
    expect("wc -c", input, 5 * SECOND, 0, "300000\n");
    expect("exec <&-; echo closed", input, 5 * SECOND, 0, "closed\n");
    free(input);
}

static void test_program_that_isnt_there(void **state)
{
    char *argv[] = {"/nonexistent/program", NULL};
    struct outcome outcome = {0};
    struct child *child = NULL;
    assert_int_equal(-ENOENT, child_start(loop, argv, "x", 1, SECOND, exited, &outcome, &child));
    assert_null(child);
    assert_int_equal(0, outcome.calls);
}

static void test_time_is_limited(void **state)
{
    uint64_t begin = loop_update_now(loop);
    expect("echo begun; sleep 30", "", 50000, -1, "");
    assert_true(loop_update_now(loop) - begin < 5 * SECOND);
}

/* With the script goes what it has started. */
static void test_time_is_limited_for_the_group(void **state)
{
    int fds[2];
    char byte;
    assert_int_equal(0, pipe2(fds, O_CLOEXEC));
    /* the write end is stderr for the child: it ends when everyone in the group has gone */
    int saved = dup(STDERR_FILENO);
    assert_int_equal(STDERR_FILENO, dup2(fds[1], STDERR_FILENO));
    close(fds[1]);
    struct outcome outcome;
    start("sleep 30 >/dev/null & sleep 30", "", 50000, &outcome);
    assert_int_equal(STDERR_FILENO, dup2(saved, STDERR_FILENO));
    close(saved);
    loop_run(loop);
    assert_int_equal(-1, outcome.status);
    assert_int_equal(0, read(fds[0], &byte, 1));
    close(fds[0]);
}

static void test_signal_is_a_failure(void **state)
{
    expect("echo text; kill -TERM $$", "", SECOND, -1, "");
}

static void test_output_is_limited(void **state)
{
    char most[CHILD_OUTPUT_MAX + 1];
    memset(most, 'x', CHILD_OUTPUT_MAX);
    most[CHILD_OUTPUT_MAX] = 0;
    expect("cat", most, 5 * SECOND, 0, most);
    expect("cat; echo", most, 5 * SECOND, -1, "");
    expect("yes", "", 0, -1, "");
}

/* A grandchild that holds the output open, as a daemon would, isn't waited for. */
static void test_grandchild_is_not_waited_for(void **state)
{
    uint64_t begin = loop_update_now(loop);
    expect("sleep 4 2>/dev/null & echo done", "", 10 * SECOND, 0, "done\n");
    assert_true(loop_update_now(loop) - begin < 3 * SECOND);
}

static void test_descriptors_arent_inherited(void **state)
{
    /* without O_CLOEXEC, as a library may open it */
    int fd = open("/dev/null", O_RDONLY);
    assert_true(fd > 2);
    char script[64];
    snprintf(script, sizeof(script), "test -e /proc/self/fd/%d && echo open || echo closed", fd);
    expect(script, "", SECOND, 0, "closed\n");
    close(fd);
}

static void test_killed_without_a_callback(void **state)
{
    struct outcome killed, other;
    struct child *child = start("sleep 30", "", 0, &killed);
    child_kill(child);
    child_kill(NULL);
    start("echo other", "", SECOND, &other);
    loop_run(loop);
    assert_int_equal(1, other.calls);
    assert_int_equal(0, killed.calls);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_input_goes_in_and_output_comes_out, setup, teardown),
        cmocka_unit_test_setup_teardown(test_input_larger_than_a_pipe, setup, teardown),
        cmocka_unit_test_setup_teardown(test_program_that_isnt_there, setup, teardown),
        cmocka_unit_test_setup_teardown(test_time_is_limited, setup, teardown),
        cmocka_unit_test_setup_teardown(test_time_is_limited_for_the_group, setup, teardown),
        cmocka_unit_test_setup_teardown(test_signal_is_a_failure, setup, teardown),
        cmocka_unit_test_setup_teardown(test_output_is_limited, setup, teardown),
        cmocka_unit_test_setup_teardown(test_grandchild_is_not_waited_for, setup, teardown),
        cmocka_unit_test_setup_teardown(test_descriptors_arent_inherited, setup, teardown),
        cmocka_unit_test_setup_teardown(test_killed_without_a_callback, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
