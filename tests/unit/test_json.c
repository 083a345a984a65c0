/* The strict check, and the readers. */
#include "json.h"
#include "pair.h"

static bool check(const char *text)
{
    /* A copy of the exact size, so that a read past its end shows. */
    size_t length = strlen(text);
    char *copy = malloc(length + 1);
    memcpy(copy, text, length);
    char *exact = realloc(copy, length ? length : 1);
    bool good = plex_json_check(exact, length);
    free(exact);
    return good;
}

static void test_good_texts(void **state)
{
    static const char *const texts[] = {
        "{}",
        " \t\r\n{ \"a\" : [ ] , \"b\" : { } } ",
        "{\"a\":[1,-0,0.5,1e3,1E+3,-1.25e-7,true,false,null,\"x\"]}",
        "{\"\":\"\"}",
        "{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e4\\ud83d\\ude00\"}",
        "{\"a\":\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\xef\xbf\xbf\x7f\"}",
        "{\"a\":[[[[[[[1]]]]]]]}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (!check(texts[i]))
            fail_msg("refused: %s", texts[i]);
}

static void test_bad_texts(void **state)
{
    static const char *const texts[] = {
        "",
        " ",
        "[]",
        "null",
        "1",
        "\"a\"",
        "{",
        "}",
        "{}}",
        "{} x",
        "{},{}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,\"a\":1}",
        "{\"a\":1 \"b\":2}",
        "{a:1}",
        "{'a':1}",
        "{\"a\":[1,]}",
        "{\"a\":[,1]}",
        "{\"a\":[1}",
        "{\"a\":{]}",
        "{\"a\":01}",
        "{\"a\":+1}",
        "{\"a\":.5}",
        "{\"a\":1.}",
        "{\"a\":1e}",
        "{\"a\":-}",
        "{\"a\":0x1}",
        "{\"a\":NaN}",
        "{\"a\":Infinity}",
        "{\"a\":tru}",
        "{\"a\":True}",
        "{\"a\":nul",
        "{\"a\":\"",
        "{\"a\":\"\\",
        "{\"a\":\"\\u12\"}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\x1f\"}",
        "{\"a\":\"\\u0000\"}",
        "{\"\\u0000\":1}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\\ud800x\"}",
        "{\"a\":\"\\ud800\\u0041\"}",
        "{\"a\":\"\\udc00\"}",
        "{\"a\":\"\x80\"}",
        "{\"a\":\"\xc0\x80\"}",
        "{\"a\":\"\xc1\xbf\"}",
        "{\"a\":\"\xe0\x80\x80\"}",
        "{\"a\":\"\xed\xa0\x80\"}",
        "{\"a\":\"\xf0\x80\x80\x80\"}",
        "{\"a\":\"\xf4\x90\x80\x80\"}",
        "{\"a\":\"\xf5\x80\x80\x80\"}",
        "{\"a\":\"\xc3\"}",
        "{\"a\":\"\xe2\x82\"}",
        "\xef\xbb\xbf{}",
        "{\"a\":[[[[[[[[1]]]]]]]]}",
        "{/**/}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (check(texts[i]))
            fail_msg("accepted: %s", texts[i]);
    assert_false(plex_json_check("{\"a\":\"\0\"}", 9));
    assert_false(plex_json_check("{}\0", 3));
}

/* Every beginning of a good text is bad, and read no further than its end. */
static void test_every_beginning_is_bad(void **state)
{
    static const char text[] =
        "{\"a\":[1.5e-3,\"\\ud83d\\ude00\xc3\xa4\",true,{\"b\":null}],\"c\":false}";
    char cut[sizeof text];
    for (size_t length = 0; length < sizeof text - 1; length++) {
        memcpy(cut, text, length);
        cut[length] = 0;
        assert_false(check(cut));
    }
    assert_true(check(text));
}

static const char *value_of(const char *text, const char *key)
{
    const char *value;
    char keys[32] = "";
    strcpy(keys, key);
    assert_true(plex_json_check(text, strlen(text)));
    assert_non_null(plex_json_read(text, keys, &value));
    return value;
}

static void test_get(void **state)
{
    const char *text =
        " {\"x\":{\"key\":1,\"}\":\"{\"}, \"k\\u0065y\" : [2] , \"other\":\"\\\"\"} ";
    const char *value;
    assert_int_equal(value_of(text, "key")[1], '2');
    assert_null(value_of(text, "ke"));
    assert_null(value_of(text, "keys"));
    assert_true(plex_json_equals(value_of(text, "other"), "\""));
    const char *twice = "{\"key\":1,\"k\\u0065y\":1}";
    assert_true(plex_json_check(twice, strlen(twice)));
    assert_null(plex_json_read(twice, "key\0", &value));
    assert_null(plex_json_read("[1]", "key\0", &value));
    assert_null(plex_json_read(NULL, "key\0", &value));
}

static void test_read_gives_the_end(void **state)
{
    static const char *const texts[] = {"{}",
                                        "{ }",
                                        "{\"a\":1}",
                                        "{\"a\":1 , \"b\":true\n}",
                                        "{\"b\":[{\"}\":\"\\\"}\"}]}",
                                        "{\"a\":{},\"b\":-1.5e+3}"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char text[64];
        const char *values[2];
        int inner = snprintf(text, sizeof text, "{\"x\":%s , \"y\":[]}", texts[i]) - 10;
        assert_true(plex_json_check(text, strlen(text)));
        assert_ptr_equal(plex_json_read(text, "y\0x\0", values), text + strlen(text));
        assert_ptr_equal(plex_json_read(values[1], "a\0b\0", values), text + inner);
    }
}

static void test_arrays(void **state)
{
    const char *at =
        plex_json_first(value_of("{\"a\":[ \"x\" ,[1,{\"b\":\"]\"}],-1.5 , null]}", "a"));
    assert_true(plex_json_equals(at, "x"));
    at = plex_json_next(at);
    assert_int_equal(*at, '[');
    at = plex_json_next(at);
    assert_int_equal(*at, '-');
    at = plex_json_next(at);
    assert_int_equal(*at, 'n');
    assert_null(plex_json_next(at));
    assert_null(plex_json_first(value_of("{\"a\":[ ]}", "a")));
    assert_null(plex_json_first(value_of("{\"a\":1}", "a")));
    assert_null(plex_json_first(NULL));
}

static void test_copy(void **state)
{
    char buffer[16];
    const char *text = "{\"a\":\"\\\"\\\\\\/"
                       "\\b\\f\\n\\r\\t\\u0041\",\"b\":\"\\u00e4\\u20ac\\ud83d\\ude00\",\"c\":"
                       "\"ab\xc3\xa4\",\"d\":1}";
    assert_int_equal(plex_json_copy(value_of(text, "a"), buffer, sizeof buffer), 9);
    assert_string_equal(buffer, "\"\\/\b\f\n\r\tA");
    assert_int_equal(plex_json_copy(value_of(text, "b"), buffer, sizeof buffer), 9);
    assert_string_equal(buffer, "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
    /* Cut at a character's border, raw or escaped. */
    assert_int_equal(plex_json_copy(value_of(text, "b"), buffer, 9), 9);
    assert_string_equal(buffer, "\xc3\xa4\xe2\x82\xac");
    assert_int_equal(plex_json_copy(value_of(text, "c"), buffer, 4), 4);
    assert_string_equal(buffer, "ab");
    assert_int_equal(plex_json_copy(value_of(text, "c"), buffer, 5), 4);
    assert_string_equal(buffer, "ab\xc3\xa4");
    assert_int_equal(plex_json_copy(value_of(text, "c"), buffer, 1), 4);
    assert_string_equal(buffer, "");
    assert_int_equal(plex_json_copy(value_of(text, "d"), buffer, sizeof buffer), -1);
    assert_int_equal(plex_json_copy(NULL, buffer, sizeof buffer), -1);
}

static void test_numbers(void **state)
{
    static const struct {
        const char *text;
        int64_t number, integer; /* -1: refused */
    } cases[] = {
        {"0", 0, 0},
        {"-0", 0, 0},
        {"-0.0", 0, -1},
        {"0e99999999999", 0, -1},
        {"1", 1, 1},
        {"65535", 65535, 65535},
        {"2147483647", 2147483647, 2147483647},
        {"2147483648", -1, -1},
        {"2147483647.9", 2147483647, -1},
        {"4294967296", -1, -1},
        {"99999999999999999999", -1, -1},
        {"18446744073709551617", -1, -1},
        {"-1", -1, -1},
        {"-0.5", -1, -1},
        {"0.999", 0, -1},
        {"1.9", 1, -1},
        {"150.0", 150, -1},
        {"1e3", 1000, -1},
        {"1.5e3", 1500, -1},
        {"1.23456e2", 123, -1},
        {"12345e-2", 123, -1},
        {"1e-99999999999", 0, -1},
        {"1e99999999999", -1, -1},
        {"0.00001e5", 1, -1},
        {"2147483647000e-3", 2147483647, -1},
        {"2147483648000e-3", -1, -1},
        {"1234567890123456789e-15", 1234, -1},
        {"\"1\"", -1, -1},
        {"null", -1, -1},
        {"[1]", -1, -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[64];
        uint32_t number;
        snprintf(text, sizeof text, "{\"a\":%s}", cases[i].text);
        const char *value = value_of(text, "a");
        bool good = plex_json_number(value, &number);
        if (good ? number != cases[i].number : cases[i].number != -1)
            fail_msg("%s as number: %d, %u", cases[i].text, good, number);
        good = plex_json_integer(value, &number);
        if (good ? number != cases[i].integer : cases[i].integer != -1)
            fail_msg("%s as integer: %d, %u", cases[i].text, good, number);
    }
    uint32_t number;
    assert_false(plex_json_number(NULL, &number));
    assert_false(plex_json_integer(NULL, &number));
}

static void test_whole_numbers(void **state)
{
    static const struct {
        const char *text;
        uint64_t most;
        int64_t number; /* -1: refused */
    } cases[] = {
        {"0", INT64_MAX, 0},
        {"-0", INT64_MAX, 0},
        {"9", 9, 9},
        {"10", 9, -1},
        {"0", 0, 0},
        {"1", 0, -1},
        {"1606324386123", INT64_MAX, 1606324386123},
        {"9223372036854775807", INT64_MAX, INT64_MAX},
        {"9223372036854775808", INT64_MAX, -1},
        {"9223372036854775809", INT64_MAX, -1},
        {"18446744073709551615", INT64_MAX, -1},
        {"18446744073709551617", INT64_MAX, -1},
        {"184467440737095516160", INT64_MAX, -1},
        {"-1", INT64_MAX, -1},
        {"-9223372036854775808", INT64_MAX, -1},
        {"1.0", INT64_MAX, -1},
        {"9223372036854775807.0", INT64_MAX, -1},
        {"1e3", INT64_MAX, -1},
        {"1E3", INT64_MAX, -1},
        {"\"1\"", INT64_MAX, -1},
        {"null", INT64_MAX, -1},
        {"[1]", INT64_MAX, -1},
    };
    uint64_t number = 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[64];
        snprintf(text, sizeof text, "{\"a\":%s}", cases[i].text);
        bool good = plex_json_whole(value_of(text, "a"), cases[i].most, &number);
        if (good ? number != (uint64_t)cases[i].number : cases[i].number != -1)
            fail_msg("%s: %d, %llu", cases[i].text, good, (unsigned long long)number);
    }
    assert_false(plex_json_whole(NULL, INT64_MAX, &number));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_texts),
        cmocka_unit_test(test_bad_texts),
        cmocka_unit_test(test_every_beginning_is_bad),
        cmocka_unit_test(test_get),
        cmocka_unit_test(test_read_gives_the_end),
        cmocka_unit_test(test_arrays),
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_whole_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
