/* --egress-explain: its answers and exit statuses. Names are those that resolve without any server.
 */
#include "server/explain.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

/* What explain_run() prints to stdout ends up in `output`. */
static int explain(const struct config *config, const char *host_port, char *output, size_t size)
{
    char path[] = "/tmp/test_explain_XXXXXX";
    int file = mkstemp(path);
    int saved = dup(STDOUT_FILENO);
    ssize_t length;
    int status;
    assert_true(file >= 0 && saved >= 0);
    unlink(path);
    fflush(stdout);
    assert_true(dup2(file, STDOUT_FILENO) >= 0);
    status = explain_run(config, host_port);
    fflush(stdout);
    assert_true(dup2(saved, STDOUT_FILENO) >= 0);
    length = pread(file, output, size - 1, 0);
    assert_true(length >= 0);
    output[length] = '\0';
    close(file);
    close(saved);
    return status;
}

static void assert_explained(const struct config *config, const char *host_port, int status,
                             const char *text)
{
    char output[2048];
    assert_int_equal(explain(config, host_port, output, sizeof output), status);
    assert_string_equal(output, text);
}

static void test_literals(void **state)
{
    struct config config = {0};
    char error[256];
    assert_int_equal(egress_add_allow(&config.egress, "[::1]:443", error, sizeof error), 0);
    assert_explained(&config, "8.8.8.8:53", 0,
                     "8.8.8.8:53  allowed by default\nallowed: the device gets a connection\n");
    assert_explained(&config, "127.0.0.1:80", 1,
                     "127.0.0.1:80  refused by built-in 127.0.0.0/8 (loopback)\n"
                     "refused: the device gets \"connect EACCES 127.0.0.1:80\"\n");
    assert_explained(&config, "[::1]:443", 0,
                     "[::1]:443  allowed by --egress-allow [::1]:443\n"
                     "allowed: the device gets a connection\n");
    assert_explained(&config, "[::1]:80", 1,
                     "[::1]:80  refused by built-in ::1/128 (loopback)\n"
                     "refused: the device gets \"connect EACCES ::1:80\"\n");
    egress_deinit(&config.egress);
}

static void test_own_address(void **state)
{
    union address listen, listen_old;
    struct config config = {
        .listen = &listen, .listen_count = 1, .listen_old = &listen_old, .listen_old_count = 1};
    assert_int_equal(address_parse("203.0.113.9:5005", &listen), 0);
    assert_int_equal(address_parse("203.0.113.9:5006", &listen_old), 0);
    assert_explained(&config, "203.0.113.9:5005", 1,
                     "203.0.113.9:5005  refused by built-in own address 203.0.113.9:5005\n"
                     "refused: the device gets \"connect EACCES 203.0.113.9:5005\"\n");
    assert_explained(&config, "203.0.113.9:5006", 1,
                     "203.0.113.9:5006  refused by built-in own address 203.0.113.9:5006\n"
                     "refused: the device gets \"connect EACCES 203.0.113.9:5006\"\n");
    assert_explained(
        &config, "203.0.113.9:5007", 0,
        "203.0.113.9:5007  allowed by default\nallowed: the device gets a connection\n");
}

static void test_name_with_every_address_refused(void **state)
{
    struct config config = {0};
    char output[2048];
    assert_int_equal(explain(&config, "localhost:80", output, sizeof output), 1);
    assert_non_null(strstr(output, "127.0.0.1:80  refused by built-in 127.0.0.0/8 (loopback)\n"));
    assert_non_null(strstr(output, "refused: the device gets \"connect EACCES "));
}

static void test_name_with_one_address_allowed(void **state)
{
    struct config config = {0};
    char output[2048], error[256];
    assert_int_equal(egress_add_allow(&config.egress, "127.0.0.1:80", error, sizeof error), 0);
    assert_int_equal(explain(&config, "localhost:80", output, sizeof output), 0);
    assert_non_null(strstr(output, "127.0.0.1:80  allowed by --egress-allow 127.0.0.1:80\n"));
    assert_non_null(strstr(output, "allowed: the device gets a connection"));
    egress_deinit(&config.egress);
}

static void test_bad_arguments(void **state)
{
    static const char *const bad[] = {"",           "host",    ":80",       "host:",      "host:0",
                                      "host:65536", "host:8x", "host:-1",   "::1:80",     "[::1]",
                                      "[::1:80",    "::1]:80", "[host]:80", "host:000080"};
    const struct config config = {0};
    char longest[300];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_explained(&config, bad[i], 2, "");
    memset(longest, 'a', sizeof longest);
    strcpy(longest + 254, ":80");
    assert_explained(&config, longest, 2, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_literals),
        cmocka_unit_test(test_own_address),
        cmocka_unit_test(test_name_with_every_address_refused),
        cmocka_unit_test(test_name_with_one_address_allowed),
        cmocka_unit_test(test_bad_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
