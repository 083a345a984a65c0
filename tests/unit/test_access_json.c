/* Rules of access as text. */
#include "registry_test.h"

#include "control/access_json.h"

static void test_what_is_written_is_read(void **state)
{
    struct prefix prefixes[2];
    assert_int_equal(prefix_parse("192.0.2.0/24", 12, &prefixes[0]), 0);
    assert_int_equal(prefix_parse("2001:db8::/32", 13, &prefixes[1]), 0);
    struct socket_access access = {.is_protected = true,
                                   .username = "\xc3\xbc \"\\",
                                   .password_hash = "$",
                                   .deny = prefixes,
                                   .deny_count = 2,
                                   .rate = UINT32_MAX};
    struct socket_access *read;
    char *text = access_json_format(&access);
    assert_int_equal(access_json_parse(text, &read), 0);
    assert_string_equal(read->username, access.username);
    assert_string_equal(read->password_hash, "$");
    assert_null(read->client_ca);
    assert_int_equal(read->deny_count, 2);
    assert_memory_equal(read->deny, prefixes, sizeof prefixes);
    assert_int_equal(read->rate, UINT32_MAX);
    char *again = access_json_format(read);
    assert_string_equal(again, text);
    free(again);
    free(text);
    socket_access_free(read);
}

#define REST "\"deny\":\"\",\"visitor_rate\":0,\"max_connections\":0"

static void test_what_is_not_ours_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "{}",
        "[]",
        "null",
        "{\"protected\":false,\"allow\":\"\",\"rate\":0,\"username\":null," REST "}",
        "{\"protected\":false,\"allow\":\"\",\"rate\":-1," REST "}",
        "{\"protected\":false,\"allow\":\"\",\"rate\":4294967296," REST "}",
        "{\"protected\":false,\"allow\":\"everybody\",\"rate\":0," REST "}",
        "{\"protected\":false,\"allow\":7,\"rate\":0," REST "}",
        "{\"protected\":true,\"allow\":\"\",\"rate\":0," REST "}", /* by nobody's password */
        "{\"protected\":false,\"allow\":\"\",\"rate\":0,\"more\":1," REST "}",
        "{\"protected\":false,\"allow\":\"\",\"rate\":0,\"rate\":0," REST "}",
        ("{\"protected\":false,\"allow\":\"\",\"rate\":0," REST),
    };
    struct socket_access *access = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(access_json_parse(bad[i], &access), -1);
    assert_null(access);
    assert_int_equal(
        access_json_parse("{\"protected\":false,\"allow\":\"\",\"rate\":0," REST "}", &access), 0);
    socket_access_free(access);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_written_is_read),
        cmocka_unit_test(test_what_is_not_ours_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
