/* A password on a terminal: a pseudoterminal stands in for it. */
#include "agent/prompt.h"

#include <stdarg.h>
#include <setjmp.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <cmocka.h>

static char error[256], password[PROMPT_MAX + 1];

static void open_terminal(int *master, int *terminal)
{
    *master = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(*master >= 0);
    assert_int_equal(grantpt(*master) | unlockpt(*master), 0);
    *terminal = open(ptsname(*master), O_RDWR | O_NOCTTY);
    assert_true(*terminal >= 0);
}

/* What the terminal shows, up to and with `end`. */
static void await_shown(int master, const char *end, char *shown, size_t size)
{
    size_t length = 0;
    do {
        struct pollfd ready = {.fd = master, .events = POLLIN};
        assert_int_equal(poll(&ready, 1, 20000), 1);
        ssize_t got = read(master, shown + length, size - 1 - length);
        assert_true(got > 0);
        length += (size_t)got;
        shown[length] = '\0';
    } while (!strstr(shown, end));
}

static bool shows_what_is_typed(int terminal)
{
    struct termios settings;
    assert_int_equal(tcgetattr(terminal, &settings), 0);
    return settings.c_lflag & ECHO;
}

/* A child asks; what it got is its exit status: 0 for "secret". */
static pid_t start_asking(int terminal)
{
    pid_t child = fork();
    if (child)
        return child;
    int result = prompt_password_on(terminal, "Password: ", password, error, sizeof error);
    _exit(result < 0 ? 2 : strcmp(password, "secret") != 0);
}

static void test_nothing_is_shown(void **state)
{
    int master, terminal, status;
    char shown[256];
    open_terminal(&master, &terminal);
    pid_t child = start_asking(terminal);
    await_shown(master, "Password: ", shown, sizeof shown);
    assert_false(shows_what_is_typed(terminal));
    assert_int_equal(write(master, "secret\n", 7), 7);
    await_shown(master, "\n", shown, sizeof shown);
    assert_null(strstr(shown, "secret"));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(shows_what_is_typed(terminal));
    close(master);
    close(terminal);
}

static void test_a_signal_puts_the_terminal_back(void **state)
{
    int master, terminal, status;
    char shown[256];
    open_terminal(&master, &terminal);
    pid_t child = start_asking(terminal);
    await_shown(master, "Password: ", shown, sizeof shown);
    assert_false(shows_what_is_typed(terminal));
    kill(child, SIGINT);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGINT);
    assert_true(shows_what_is_typed(terminal));
    close(master);
    close(terminal);
}

static int read_text(const char *text, size_t length)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], text, length), (ssize_t)length);
    close(ends[1]);
    int result = prompt_read_line(ends[0], password, error, sizeof error);
    close(ends[0]);
    return result;
}

static void test_a_line_of_standard_input(void **state)
{
    char longest[PROMPT_MAX + 2];
    assert_int_equal(read_text("pass word\r\nnext", 15), 0);
    assert_string_equal(password, "pass word");
    assert_int_equal(read_text("no end", 6), 0);
    assert_string_equal(password, "no end");
    assert_int_equal(read_text("", 0), -1);
    assert_int_equal(read_text("\n", 1), -1);
    assert_non_null(strstr(error, "no password"));
    assert_int_equal(read_text("a\0b\n", 4), -1);
    memset(longest, 'x', sizeof longest);
    assert_int_equal(read_text(longest, PROMPT_MAX), 0);
    assert_int_equal(strlen(password), PROMPT_MAX);
    assert_int_equal(read_text(longest, PROMPT_MAX + 1), -1);
    assert_non_null(strstr(error, "at most"));
}

static void test_what_follows_the_line_is_left(void **state)
{
    int ends[2];
    char rest[16] = "";
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "first\nsecond", 12), 12);
    close(ends[1]);
    assert_int_equal(prompt_read_line(ends[0], password, error, sizeof error), 0);
    assert_int_equal(read(ends[0], rest, sizeof rest - 1), 6);
    assert_string_equal(rest, "second");
    close(ends[0]);
}

static void test_something_else_than_a_terminal(void **state)
{
    int fd = open("/dev/null", O_RDWR);
    assert_int_equal(prompt_password_on(fd, "? ", password, error, sizeof error), -1);
    assert_non_null(strstr(error, "terminal"));
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_shown),
        cmocka_unit_test(test_a_signal_puts_the_terminal_back),
        cmocka_unit_test(test_a_line_of_standard_input),
        cmocka_unit_test(test_what_follows_the_line_is_left),
        cmocka_unit_test(test_something_else_than_a_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
