/* The settings of reaching a server, as every command has them; test_dial_settings.c has files and
 * variables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/reach_settings.h"

#define DIGITS "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF"

static char error[256];

static struct reach_settings given(void)
{
    return (struct reach_settings){.server = "s.example", .server_port = 5005, .token = "t"};
}

static void refused(const struct reach_settings *settings, const char *word)
{
    struct reach reach = {0};
    assert_int_equal(reach_read(&reach, settings, error, sizeof error), -1);
    if (!strstr(error, word))
        fail_msg("\"%s\" doesn't say \"%s\"", error, word);
    reach_deinit(&reach);
    reach_deinit(&reach); /* idempotent */
}

static void test_what_is_read(void **state)
{
    struct reach_settings settings = given();
    struct reach reach = {0};
    settings.pin = "sha256:" DIGITS;
    settings.ca = "ca.pem";
    settings.ca_pem = "text";
    assert_int_equal(reach_read(&reach, &settings, error, sizeof error), 0);
    assert_string_equal(reach.server.host, "s.example");
    assert_int_equal(reach.server.port, 5005);
    assert_string_equal(reach.token, "t");
    assert_string_equal(reach.pin_sha256, DIGITS);
    assert_string_equal(reach.ca_file, "ca.pem");
    assert_null(reach.ca_pem); /* the file goes before it */
    reach_deinit(&reach);
    assert_null(reach.token);
}

static void test_what_is_missing(void **state)
{
    struct reach_settings settings = given();
    settings.server = NULL;
    refused(&settings, "no server");
    settings = given();
    settings.token = NULL;
    refused(&settings, "no token");
}

static void test_what_is_wrong(void **state)
{
    char token[REACH_TOKEN_MAX + 2];
    struct reach_settings settings = given();
    settings.server = "s.example:0";
    refused(&settings, "HOST[:PORT]");
    settings = given();
    memset(token, 't', sizeof token);
    token[sizeof token - 1] = '\0';
    settings.token = token;
    refused(&settings, "1 to 2048 bytes");
    settings = given();
    static char *pins[] = {DIGITS, ("sha256:" DIGITS "0"), "sha256:0", ("sha1:" DIGITS), "sha256:"};
    for (size_t i = 0; i < sizeof pins / sizeof pins[0]; i++) {
        settings.pin = pins[i];
        refused(&settings, "--pin");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_read),
        cmocka_unit_test(test_what_is_missing),
        cmocka_unit_test(test_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
