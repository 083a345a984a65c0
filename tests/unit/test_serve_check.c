/* Texts that are settings of `streamplex serve`, and texts that aren't. */
#include "server/serve_check.h"

#include <stdarg.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

typedef int check_text(const char *text, char *error, size_t error_size);

static void assert_takes(check_text *check, const char *const *good, const char *const *bad)
{
    char error[256];
    for (; *good; good++)
        if (check(*good, error, sizeof error) < 0)
            fail_msg("\"%s\" is refused: %s", *good, error);
    for (; *bad; bad++) {
        strcpy(error, "");
        if (check(*bad, error, sizeof error) == 0)
            fail_msg("\"%s\" is taken", *bad);
        assert_string_not_equal(error, "");
    }
}

static void test_ports(void **state)
{
    static const char *const good[] = {"none", "1-65535", "41000-41999", "80-80", "80", NULL};
    static const char *const bad[] = {"",
                                      "0-10",
                                      "10-0",
                                      "2-1",
                                      "1-65536",
                                      "-5",
                                      "5-",
                                      "5--6",
                                      "5-6 ",
                                      " 5-6",
                                      "5-6-7",
                                      "5,6",
                                      "None",
                                      "nonex",
                                      "+5-6",
                                      "0x1-2",
                                      "1-99999999999999999999",
                                      "all",
                                      NULL};
    uint16_t first = 7, last = 7;
    assert_takes(serve_check_ports, good, bad);
    assert_int_equal(serve_parse_ports("5-", &first, &last), -1);
    assert_int_equal(first, 7); /* unchanged */
    assert_int_equal(serve_parse_ports("41000-41999", &first, &last), 0);
    assert_int_equal(first, 41000);
    assert_int_equal(last, 41999);
    assert_int_equal(serve_parse_ports("80", &first, &last), 0);
    assert_int_equal(first, 80);
    assert_int_equal(last, 80);
    assert_int_equal(serve_parse_ports("none", &first, &last), 0);
    assert_int_equal(first, 0);
    assert_int_equal(last, 0);
}

static void test_domains(void **state)
{
    static const char *const good[] = {"edge.localhost", "a", "x-y.Example.COM", "1.2.3", NULL};
    static const char *const bad[] = {"",    ".a",  "a.",    "a..b", "-a.b", "a-.b",        "a.b-",
                                      "*.a", "a b", "a_b.c", "a/b",  "a:80", "\xc3\xa4.de", NULL};
    char error[256], label[80] = "", name[300] = "";
    memset(label, 'a', 63);
    assert_int_equal(serve_check_domain(label, error, sizeof error), 0);
    memset(label, 'a', 64);
    assert_int_equal(serve_check_domain(label, error, sizeof error), -1);
    for (size_t i = 0; i < 254; i++)
        name[i] = i % 2 ? '.' : 'a';
    assert_int_equal(serve_check_domain(name, error, sizeof error), -1); /* ends in a dot, too */
    name[253] = '\0';
    assert_int_equal(serve_check_domain(name, error, sizeof error), 0);
    assert_takes(serve_check_domain, good, bad);
}

static void test_custom_domains(void **state)
{
    static const char *const good[] = {"www.example.com", "*.example.com", NULL};
    static const char *const bad[] = {"*", "*.", "*.*.a", "a.*.b", "x*.a", "*a.b", "", NULL};
    assert_takes(serve_check_custom_domain, good, bad);
}

static void test_addresses_without_port(void **state)
{
    static const char *const good[] = {"[::]", "::", "127.0.0.1", "0.0.0.0", "[::1]", NULL};
    static const char *const bad[] = {"", "127.0.0.1:80", "[::]:80", "80", "localhost", NULL};
    assert_takes(serve_check_bind, good, bad);
}

static void test_prefixes(void **state)
{
    static const char *const good[] = {"10.0.0.0/8", "192.0.2.1", "::1", "2001:db8::/32", NULL};
    static const char *const bad[] = {"", "10.0.0.1/8", "10.0.0.0/33", "x", "10/8", NULL};
    assert_takes(serve_check_prefix, good, bad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ports),          cmocka_unit_test(test_domains),
        cmocka_unit_test(test_custom_domains), cmocka_unit_test(test_addresses_without_port),
        cmocka_unit_test(test_prefixes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
