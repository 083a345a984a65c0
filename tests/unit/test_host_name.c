#include "registry_test.h"

#include "registry/host_name.h"

#define LABEL_63 "a23456789-123456789-123456789-123456789-123456789-123456789-123"

static void assert_parsed(const char *text, const char *wanted)
{
    char name[REGISTRY_HOST_MAX + 1] = "untouched";
    int result = host_name_parse(text, name);
    if (wanted ? result != 0 : result != -1)
        fail_msg("\"%s\": %d", text, result);
    assert_string_equal(name, wanted ? wanted : "untouched");
}

static void test_host_names_are_folded(void **state)
{
    assert_parsed("Shy-Bush-6765.Edge.Localhost.", "shy-bush-6765.edge.localhost");
    assert_parsed("localhost", "localhost");
    assert_parsed("3com.com", "3com.com"); /* RFC 1123: a digit may come first */
    assert_parsed("xn--bcher-kva.example", "xn--bcher-kva.example");
    assert_parsed(LABEL_63 ".example", LABEL_63 ".example");
}

static void test_what_is_no_host_name_is_refused(void **state)
{
    static const char *const bad[] = {
        "",     ".",     "..",           ".a",       "a..b",         "a..",   "-a.b",
        "a-.b", "a_b.c", "a b.c",        "a.b:80",   "a/b",          "*.b.c", "192.0.2.1",
        "a.1",  "[::1]", "b\xc3\xbc.de", "a\r\nb.c", LABEL_63 "4.b", "a@b.c"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_parsed(bad[i], NULL);
}

static void test_length_is_bounded(void **state)
{
    char text[REGISTRY_HOST_MAX + 3], name[REGISTRY_HOST_MAX + 1];
    for (size_t i = 0; i < REGISTRY_HOST_MAX; i++)
        text[i] = i % 2 ? '.' : 'a';
    text[REGISTRY_HOST_MAX] = 0;
    assert_int_equal(host_name_parse(text, name), 0);
    strcpy(text + REGISTRY_HOST_MAX, ".");
    assert_int_equal(host_name_parse(text, name), 0);
    strcpy(text + REGISTRY_HOST_MAX, "a");
    assert_int_equal(host_name_parse(text, name), -1);
}

static void test_labels_may_be_numbers(void **state)
{
    char label[64];
    assert_int_equal(host_name_parse_label("2048", label), 0);
    assert_int_equal(host_name_parse_label("Foo", label), 0);
    assert_string_equal(label, "foo");
    assert_int_equal(host_name_parse_label("a.b", label), -1);
    assert_int_equal(host_name_parse_label("", label), -1);
    assert_int_equal(host_name_parse_label(LABEL_63 "4", label), -1);
}

static void test_patterns_cover_one_label(void **state)
{
    assert_true(host_name_matches("example.com", "example.com"));
    assert_false(host_name_matches("a.example.com", "example.com"));
    assert_true(host_name_matches("a.example.com", "*.example.com"));
    assert_false(host_name_matches("example.com", "*.example.com"));
    assert_false(host_name_matches("a.b.example.com", "*.example.com"));
    assert_false(host_name_matches("aexample.com", "*.example.com"));
    assert_true(host_name_is_below("a.edge.localhost", "edge.localhost"));
    assert_false(host_name_is_below("a.sledge.localhost", "edge.localhost"));
    assert_false(host_name_is_below("edge.localhost", "edge.localhost"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_host_names_are_folded),
        cmocka_unit_test(test_what_is_no_host_name_is_refused),
        cmocka_unit_test(test_length_is_bounded),
        cmocka_unit_test(test_labels_may_be_numbers),
        cmocka_unit_test(test_patterns_cover_one_label),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
