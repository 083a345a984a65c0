#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/dial_settings.h"

#define DIGITS "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF"
#define PIN    "sha256:" DIGITS

static char error[512];

static int read_arguments(struct dial_request *request, char **argv)
{
    int argc = 0;
    while (argv[argc])
        argc++;
    error[0] = '\0';
    return dial_request_read(request, argc, argv, error, sizeof error);
}

#define READ(request, ...) read_arguments((request), (char *[]){"dial", __VA_ARGS__, NULL})

/* Fails, and says something with `word` in it. */
#define REFUSED(word, ...)                                                                         \
    do {                                                                                           \
        struct dial_request request_;                                                              \
        assert_int_equal(READ(&request_, __VA_ARGS__), -1);                                        \
        if (!strstr(error, word))                                                                  \
            fail_msg("\"%s\" doesn't say \"%s\"", error, word);                                    \
        dial_request_deinit(&request_);                                                            \
    } while (0)

static int clear_environment(void **state)
{
    static const char *const names[] = {
        "PROXY_HOST", "PROXY_PORT",        "PROXY_TOKEN",      "TM_API_KEY",
        "PROXY_CERT", "STREAMPLEX_SERVER", "STREAMPLEX_TOKEN", "STREAMPLEX_TOKEN_FILE",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unsetenv(names[i]);
    return 0;
}

static void test_flags(void **state)
{
    struct dial_request request;

    assert_int_equal(READ(&request, "--server", "tunnel.example:99", "--token=abc", "--pin", PIN,
                          "--tls", "--timeout", "5s", "[2001:db8::1]:443"),
                     0);
    assert_string_equal(request.reach.server.host, "tunnel.example");
    assert_int_equal(request.reach.server.port, 99);
    assert_string_equal(request.target.host, "2001:db8::1");
    assert_int_equal(request.target.port, 443);
    assert_string_equal(request.reach.token, "abc");
    assert_string_equal(request.reach.pin_sha256, DIGITS);
    assert_true(request.settings.tls);
    assert_false(request.settings.legacy);
    assert_int_equal(request.settings.timeout, 5000000);
    dial_request_deinit(&request);
}

static void test_the_variables_of_the_boards(void **state)
{
    struct dial_request request;

    setenv("PROXY_HOST", "192.0.2.7", 1);
    setenv("TM_API_KEY", "key", 1);
    setenv("PROXY_CERT", "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n", 1);
    assert_int_equal(READ(&request, "host:1"), 0);
    assert_string_equal(request.reach.server.host, "192.0.2.7");
    assert_int_equal(request.reach.server.port, 5005);
    assert_string_equal(request.reach.token, "key");
    assert_string_equal(request.reach.ca_pem, getenv("PROXY_CERT"));
    dial_request_deinit(&request);

    setenv("PROXY_PORT", "6006", 1);
    setenv("PROXY_TOKEN", "token", 1);
    assert_int_equal(READ(&request, "host:1"), 0);
    assert_int_equal(request.reach.server.port, 6006);
    assert_string_equal(request.reach.token, "token");
    dial_request_deinit(&request);
}

static void test_a_token_file(void **state)
{
    struct dial_request request;
    char name[] = "/tmp/streamplex-test-XXXXXX";
    int fd = mkstemp(name);
    FILE *file = fdopen(fd, "w");

    REFUSED("empty", "--server=s", "--token-file", name, "host:1");
    fprintf(file, "from-file\r\nsecond line\n");
    fclose(file);
    setenv("PROXY_TOKEN", "from-environment", 1);
    assert_int_equal(READ(&request, "--server=s", "--token-file", name, "host:1"), 0);
    assert_string_equal(request.reach.token, "from-file");
    dial_request_deinit(&request);

    file = fopen(name, "w");
    for (int i = 0; i < REACH_TOKEN_MAX + 1; i++)
        fputc('t', file);
    fclose(file);
    REFUSED("2048", "--server=s", "--token-file", name, "host:1");
    unlink(name);
    REFUSED(name, "--server=s", "--token-file", name, "host:1");
}

static void test_a_target_in_two_words(void **state)
{
    struct dial_request request;

    assert_int_equal(READ(&request, "--server=s", "--token=t", "2001:db8::1", "22"), 0);
    assert_string_equal(request.target.host, "2001:db8::1");
    assert_int_equal(request.target.port, 22);
    dial_request_deinit(&request);
    assert_int_equal(READ(&request, "--server=s", "--token=t", "host", "22"), 0);
    assert_string_equal(request.target.host, "host");
    dial_request_deinit(&request);
}

static void test_says_what_is_missing(void **state)
{
    REFUSED("no target", "--server=s", "--token=t");
    REFUSED("one target", "--server=s", "--token=t", "a", "1", "b");
    REFUSED("no server", "--token=t", "host:1");
    REFUSED("no token", "--server=s", "host:1");
    REFUSED("HOST:PORT", "--server=s", "--token=t", "host");
    REFUSED("HOST:PORT", "--server=s", "--token=t", "::1:22");
    REFUSED("HOST[:PORT]", "--server=s:0", "--token=t", "host:1");
    REFUSED("--pin", "--server=s", "--token=t", "--pin=00", "host:1");
    REFUSED("--pin", "--server=s", "--token=t", "--pin=" PIN "0", "host:1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_flags, clear_environment),
        cmocka_unit_test_setup(test_the_variables_of_the_boards, clear_environment),
        cmocka_unit_test_setup(test_a_token_file, clear_environment),
        cmocka_unit_test_setup(test_a_target_in_two_words, clear_environment),
        cmocka_unit_test_setup(test_says_what_is_missing, clear_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
