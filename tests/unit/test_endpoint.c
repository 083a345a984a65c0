#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/endpoint.h"

static void expect(const char *text, uint16_t default_port, const char *host, uint16_t port)
{
    struct endpoint endpoint;
    assert_int_equal(endpoint_parse(text, default_port, &endpoint), 0);
    assert_string_equal(endpoint.host, host);
    assert_int_equal(endpoint.port, port);
}

static void test_reads_names_and_literals(void **state)
{
    expect("example.com:80", 0, "example.com", 80);
    expect("192.0.2.1:65535", 0, "192.0.2.1", 65535);
    expect("[2001:db8::1]:443", 0, "2001:db8::1", 443);
    expect("a:1", 5005, "a", 1);
}

static void test_takes_the_default_port(void **state)
{
    expect("example.com", 5005, "example.com", 5005);
    expect("[::1]", 5005, "::1", 5005);
    expect("2001:db8::1", 5005, "2001:db8::1", 5005);
}

static void test_refuses_what_is_none(void **state)
{
    static const char *const bad[] = {
        "",         ":80",     "host",     "host:", "host:0",  "host:65536",  "host:+80",
        "host: 80", "host:8x", "ho st:80", "[::1",  "[::1]",   "[::1]:",      "[::1]80",
        "[]:80",    "::1",     "h\x80:1",  "h\n:1", "[a[b]:1", "host:000080",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct endpoint endpoint = {"kept", 7};
        assert_int_equal(endpoint_parse(bad[i], 0, &endpoint), -1);
        assert_string_equal(endpoint.host, "kept");
        assert_int_equal(endpoint.port, 7);
    }
    struct endpoint endpoint;
    assert_int_equal(endpoint_parse("host:", 5005, &endpoint), -1);
    assert_int_equal(endpoint_parse("[::1]:", 5005, &endpoint), -1);
}

static void test_bounds_the_host(void **state)
{
    char text[ENDPOINT_HOST_MAX + 8];
    struct endpoint endpoint;

    memset(text, 'a', ENDPOINT_HOST_MAX);
    strcpy(text + ENDPOINT_HOST_MAX, ":1");
    assert_int_equal(endpoint_parse(text, 0, &endpoint), 0);
    assert_int_equal(strlen(endpoint.host), ENDPOINT_HOST_MAX);
    strcpy(text + ENDPOINT_HOST_MAX, "a:1");
    assert_int_equal(endpoint_parse(text, 0, &endpoint), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_names_and_literals),
        cmocka_unit_test(test_takes_the_default_port),
        cmocka_unit_test(test_refuses_what_is_none),
        cmocka_unit_test(test_bounds_the_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
