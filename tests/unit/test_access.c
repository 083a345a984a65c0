/* Who may visit a socket. */
#include "registry_test.h"

static struct prefix *prefixes;
static size_t count;
static char error[256];

static void parse(const char *text)
{
    if (socket_access_parse_prefixes(text, &prefixes, &count, error, sizeof error) < 0)
        fail_msg("%s", error);
}

static void assert_text(const char *text, const char *wanted)
{
    parse(text);
    char *formatted = socket_access_format_prefixes(prefixes, count);
    assert_string_equal(formatted, wanted);
    free(formatted);
    free(prefixes);
}

static void assert_bad(const char *text, const char *part)
{
    prefixes = NULL;
    assert_int_equal(socket_access_parse_prefixes(text, &prefixes, &count, error, sizeof error),
                     -1);
    assert_null(prefixes);
    if (!strstr(error, part))
        fail_msg("\"%s\" doesn't say \"%s\"", error, part);
}

static void test_lists_are_read_and_written(void **state)
{
    assert_text("192.0.2.0/24, 2001:db8::/32", "192.0.2.0/24, 2001:db8::/32");
    assert_text(" 192.0.2.1\t,::1 ", "192.0.2.1/32, ::1/128");
    assert_text("0.0.0.0/0", "0.0.0.0/0");
    assert_text("", "");
    assert_text(" \n", "");
}

static void test_what_is_no_list_is_said(void **state)
{
    static const char *const bad[] = {"192.0.2.1/24", "192.0.2.0/33", "example.com",  "1.2.3",
                                      "1.2.3.4,",     ",1.2.3.4",     "1.2.3.4,,::1", ","};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_bad(bad[i], "is not a prefix");
    char many[(ACCESS_PREFIXES_MAX + 1) * 8 + 1] = "";
    for (int i = 0; i <= ACCESS_PREFIXES_MAX; i++)
        strcat(many, i ? ",1.2.3.4" : "1.2.3.4");
    assert_bad(many, "more than 64 prefixes");
    many[strlen(many) - 8] = 0;
    parse(many);
    assert_int_equal(count, ACCESS_PREFIXES_MAX);
    free(prefixes);
}

static bool admits(const struct socket_access *access, const char *host)
{
    union address address;
    assert_int_equal(address_from_host(host, 1234, &address), 0);
    return socket_access_admits(access, &address);
}

static void test_deny_goes_before_allow(void **state)
{
    struct socket_access access = {0};
    assert_true(admits(NULL, "192.0.2.1"));
    assert_true(admits(&access, "192.0.2.1"));
    parse("192.0.2.128/25");
    access.deny = prefixes;
    access.deny_count = count;
    assert_true(admits(&access, "192.0.2.1"));
    assert_false(admits(&access, "192.0.2.200"));
    assert_false(admits(&access, "::ffff:192.0.2.200"));
    parse("192.0.2.0/24, 2001:db8::/32");
    access.allow = prefixes;
    access.allow_count = count;
    assert_true(admits(&access, "192.0.2.1"));
    assert_true(admits(&access, "::ffff:192.0.2.1"));
    assert_true(admits(&access, "2001:db8::1"));
    assert_false(admits(&access, "192.0.2.200"));
    assert_false(admits(&access, "198.51.100.1"));
    assert_false(admits(&access, "2001:db9::1"));
    free(access.allow);
    free(access.deny);
}

static void test_a_copy_is_deep(void **state)
{
    parse("192.0.2.0/24");
    struct socket_access access = {.is_protected = true,
                                   .username = "u",
                                   .password_hash = "h",
                                   .allow = prefixes,
                                   .allow_count = count,
                                   .client_ca = "PEM",
                                   .rate = 1,
                                   .visitor_rate = 2,
                                   .max_connections = 3};
    struct socket_access *copy = socket_access_copy(&access);
    memset(prefixes, 0, sizeof *prefixes);
    free(prefixes);
    assert_true(copy->is_protected);
    assert_string_equal(copy->username, "u");
    assert_string_equal(copy->password_hash, "h");
    assert_string_equal(copy->client_ca, "PEM");
    assert_int_equal(copy->rate + 10 * copy->visitor_rate + 100 * copy->max_connections, 321);
    assert_true(admits(copy, "192.0.2.1"));
    assert_false(admits(copy, "192.0.3.1"));
    socket_access_free(copy);
    copy = socket_access_copy(NULL);
    assert_true(admits(copy, "192.0.3.1"));
    assert_false(copy->is_protected);
    socket_access_free(copy);
    socket_access_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists_are_read_and_written),
        cmocka_unit_test(test_what_is_no_list_is_said),
        cmocka_unit_test(test_deny_goes_before_allow),
        cmocka_unit_test(test_a_copy_is_deep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
