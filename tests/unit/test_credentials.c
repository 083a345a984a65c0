/* Basic auth's header (RFC 7617): what it says, and what it can't say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "edge/credentials.h"
#include "net/secret.h"

static void expect(const char *value, const char *name, const char *password)
{
    struct credentials credentials;
    assert_int_equal(credentials_parse(value, &credentials), 0);
    assert_string_equal(credentials.name, name);
    assert_string_equal(credentials.password, password);
}

static void refuse(const char *value)
{
    struct credentials credentials;
    assert_int_equal(credentials_parse(value, &credentials), -1);
    assert_string_equal(credentials.name, "");
    assert_string_equal(credentials.password, "");
    for (size_t i = 0; i < sizeof credentials.text; i++)
        assert_int_equal(credentials.text[i], 0);
}

static void test_good_ones(void **state)
{
    expect("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Aladdin", "open sesame"); /* the RFC's own */
    expect("Basic dGVzdDoxMjPCow==", "test", "123\xc2\xa3");
    expect("bASIC   QWxhZGRpbjpvcGVuIHNlc2FtZQ== \t", "Aladdin", "open sesame");
    expect("Basic Og==", "", "");
    expect("Basic YTpiOmM=", "a", "b:c");
}

static void test_bad_ones(void **state)
{
    static const char *const bad[] = {
        "",
        "Basic",
        "Basic ",
        "BasicQWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        "Basi QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        "Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ",
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=",
        "Basic QWxh ZGRpbjpvcGVuIHNlc2FtZQ==",
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==, x",
        "Basic bm9jb2xvbg==",     /* "nocolon" */
        "Basic YTpiAGM=",         /* a NUL */
        "Basic YQk6Yg==",         /* a tab */
        "Basic YTpifw==",         /* DEL */
        "Basic YWxpY2U6c2Vjc-V0", /* of base64url */
        "Basic =",
        "Basic ====",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refuse(bad[i]);
}

static void test_every_beginning_is_judged(void **state)
{
    static const char whole[] = "Basic YTpiOmM=";
    char part[sizeof whole];
    for (size_t length = 0; length < sizeof whole - 1; length++) {
        memcpy(part, whole, length);
        part[length] = 0;
        if (length == 10)
            expect(part, "a", "b"); /* four of base64 are three bytes */
        else
            refuse(part);
    }
}

static void test_length_has_a_limit(void **state)
{
    static char text[CREDENTIALS_MAX + 2], value[2 * sizeof text];
    struct credentials credentials;
    memset(text, 'x', sizeof text);
    text[3] = ':';
    memcpy(value, "Basic ", 6);
    secret_base64(text, CREDENTIALS_MAX, value + 6);
    assert_int_equal(credentials_parse(value, &credentials), 0);
    assert_int_equal(strlen(credentials.password), CREDENTIALS_MAX - 4);
    secret_base64(text, CREDENTIALS_MAX + 1, value + 6);
    refuse(value);
}

static void test_wiping_leaves_nothing(void **state)
{
    struct credentials credentials;
    assert_int_equal(credentials_parse("Basic YTpiOmM=", &credentials), 0);
    credentials_wipe(&credentials);
    for (size_t i = 0; i < sizeof credentials.text; i++)
        assert_int_equal(credentials.text[i], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_ones),
        cmocka_unit_test(test_bad_ones),
        cmocka_unit_test(test_every_beginning_is_judged),
        cmocka_unit_test(test_length_has_a_limit),
        cmocka_unit_test(test_wiping_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
