#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "base/address.h"

static union address parsed(const char *text)
{
    union address address;
    if (address_parse(text, &address) < 0)
        fail_msg("%s", text);
    return address;
}

static void assert_format(const char *text, const char *formatted, const char *host,
                          const char *plain)
{
    char buffer[ADDRESS_TEXT_MAX];
    union address address = parsed(text);
    assert_string_equal(address_format(&address, buffer), formatted);
    assert_string_equal(address_format_host(&address, buffer), host);
    assert_string_equal(address_format_plain(&address, buffer), plain);
}

static void test_addresses_are_parsed_and_formatted(void **state)
{
    assert_format("192.0.2.1:80", "192.0.2.1:80", "192.0.2.1", "192.0.2.1:80");
    assert_format("[::1]:443", "[::1]:443", "::1", "::1:443");
    assert_format("[2001:DB8:0::1]:0", "[2001:db8::1]:0", "2001:db8::1", "2001:db8::1:0");
    assert_format(":5005", "[::]:5005", "::", ":::5005");
    assert_format("5005", "[::]:5005", "::", ":::5005");
    assert_format("[fe80::1%1]:9", "[fe80::1%1]:9", "fe80::1%1", "fe80::1%1:9");
}

static void test_what_is_no_address_is_refused(void **state)
{
    static const char *const texts[] = {
        "",           ":",     "192.0.2.1",     "192.0.2.1:",     "192.0.2.1:65536",
        "::1:80",     "[::1]", "[::1]80",       "[192.0.2.1]:80", "host:80",
        "1.2.3:80",   "[]:80", "[::1:80",       "::1]:80",        "192.0.2.1: 80",
        "-1",         "+1",    "192.0.2.1:0x5", "[::1%]:80",      "[fe80::1%no such]:1",
        "1.2.3.4 :1", "80 ",   "99999999999"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        union address address = {.v4.sin_port = 7};
        if (address_parse(texts[i], &address) == 0)
            fail_msg("\"%s\" was taken", texts[i]);
        assert_int_equal(address.v4.sin_port, 7);
    }
}

static void test_hosts_that_are_literals(void **state)
{
    union address address, other;
    char buffer[ADDRESS_TEXT_MAX];
    assert_int_equal(address_from_host("[::1]", 8, &address), 0);
    assert_string_equal(address_format(&address, buffer), "[::1]:8");
    assert_int_equal(address_size(&address), sizeof(struct sockaddr_in6));
    assert_int_equal(address_from_host("::1", 8, &other), 0);
    assert_true(address_equal(&address, &other));
    address_set_port(&other, 9);
    assert_int_equal(address_port(&other), 9);
    assert_false(address_equal(&address, &other));
    assert_int_equal(address_from_host("127.0.0.1", 8, &address), 0);
    assert_int_equal(address_size(&address), sizeof(struct sockaddr_in));
    assert_int_equal(address_from_host("localhost", 8, &address), -1);
    assert_int_equal(address_from_host("127.1", 8, &address), -1); /* as names, not as literals */
    assert_int_equal(address_from_host("0x7f000001", 8, &address), -1);
    assert_int_equal(address_from_host("[127.0.0.1]", 8, &address), -1);
    assert_int_equal(address_from_host("", 8, &address), -1);
}

static void test_mapped_addresses_become_plain(void **state)
{
    char buffer[ADDRESS_TEXT_MAX];
    union address mapped = parsed("[::ffff:10.1.2.3]:80"), plain = address_unmap(&mapped);
    assert_string_equal(address_format(&plain, buffer), "10.1.2.3:80");
    union address same = parsed("[::10.1.2.3]:80");
    plain = address_unmap(&same);
    assert_true(address_equal(&plain, &same));
}

static bool contains(const char *prefix_text, const char *address_text)
{
    struct prefix prefix;
    union address address;
    if (prefix_parse(prefix_text, strlen(prefix_text), &prefix) < 0)
        fail_msg("%s", prefix_text);
    assert_int_equal(address_from_host(address_text, 1, &address), 0);
    return prefix_contains(&prefix, &address);
}

static void test_prefixes_contain_their_addresses(void **state)
{
    assert_true(contains("10.0.0.0/8", "10.255.0.1"));
    assert_false(contains("10.0.0.0/8", "11.0.0.0"));
    assert_true(contains("100.64.0.0/10", "100.127.255.255"));
    assert_false(contains("100.64.0.0/10", "100.128.0.0"));
    assert_true(contains("192.0.2.1", "192.0.2.1"));
    assert_false(contains("192.0.2.1", "192.0.2.0"));
    assert_true(contains("0.0.0.0/0", "255.1.2.3"));
    assert_false(contains("0.0.0.0/0", "::1"));
    assert_true(contains("fe80::/10", "febf::1"));
    assert_false(contains("fe80::/10", "fec0::1"));
    assert_true(contains("::1", "::1"));
    assert_true(contains("::/0", "2001:db8::1"));
    assert_false(contains("::/0", "1.2.3.4"));
}

static void test_what_is_no_prefix_is_refused(void **state)
{
    static const char *const texts[] = {
        "",       "10.0.0.1/8",  "10.0.0.0/33", "10.0.0.0/", "10/8",        "::1/129",
        "::1/64", "10.0.0.0/8 ", "10.0.0.0/-1", "/8",        "fe80::%1/10", "x/8"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct prefix prefix = {.bits = 99};
        if (prefix_parse(texts[i], strlen(texts[i]), &prefix) == 0)
            fail_msg("\"%s\" was taken", texts[i]);
        assert_int_equal(prefix.bits, 99);
    }
    struct prefix prefix;
    assert_int_equal(prefix_parse("10.0.0.0/8:80", 10, &prefix), 0); /* of a longer text */
    assert_int_equal(prefix.bits, 8);
    assert_int_equal(prefix_parse("10.0.0.0\0/8", 11, &prefix), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses_are_parsed_and_formatted),
        cmocka_unit_test(test_what_is_no_address_is_refused),
        cmocka_unit_test(test_hosts_that_are_literals),
        cmocka_unit_test(test_mapped_addresses_become_plain),
        cmocka_unit_test(test_prefixes_contain_their_addresses),
        cmocka_unit_test(test_what_is_no_prefix_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
