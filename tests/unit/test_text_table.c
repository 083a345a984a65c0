/* Tables: borders, widths, and what other people's texts may do to a terminal. */
#include "base/text_table.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

static char *print(const struct text_table *table)
{
    char *text;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    text_table_print(table, stream);
    fclose(stream);
    return text;
}

static const char *const titles[] = {"socket_id", "name"};

static void test_columns_are_as_wide_as_their_widest_cell(void **state)
{
    struct text_table *table = text_table_new(titles, 2);
    assert_int_equal(text_table_add(table, (const char *const[]){"1", "a longer name"}), 0);
    assert_int_equal(text_table_add(table, (const char *const[]){"22", NULL}), 0);
    assert_int_equal(text_table_rows(table), 2);
    char *text = print(table);
    assert_string_equal(text, "+-----------+---------------+\n"
                              "| socket_id | name          |\n"
                              "+-----------+---------------+\n"
                              "| 1         | a longer name |\n"
                              "| 22        |               |\n"
                              "+-----------+---------------+\n");
    free(text);
    text_table_free(table);
}

static void test_wide_and_combining_characters(void **state)
{
    struct text_table *table = text_table_new(titles, 2);
    assert_int_equal(text_table_add(table, (const char *const[]){"日本", "e\u0301"}), 0);
    char *text = print(table);
    assert_string_equal(text, "+-----------+------+\n"
                              "| socket_id | name |\n"
                              "+-----------+------+\n"
                              "| 日本      | e\u0301    |\n"
                              "+-----------+------+\n");
    free(text);
    text_table_free(table);
}

static void check_escape(const char *text, const char *expected)
{
    char *escaped = text_table_escape(text);
    assert_string_equal(escaped, expected);
    free(escaped);
}

static void test_what_a_terminal_obeys_is_escaped(void **state)
{
    check_escape("plain äß", "plain äß");
    check_escape("\x1b[2Jgone", "\\x1b[2Jgone");
    check_escape("two\nlines\r\t", "two\\nlines\\r\\t");
    check_escape("\x7f", "\\x7f");
    check_escape("\xc2\x9b"
                 "31m",
                 "\\u009b31m");
    check_escape("bad \xff\xc3", "bad \\xff\\xc3");
    check_escape("\u202eexe.txt", "\\u202eexe.txt");
    check_escape("\u200b", "\\u200b");
    check_escape("\U000e0041", "\\U000e0041");
    check_escape("", "");
}

static void test_width(void **state)
{
    assert_int_equal(text_table_width(""), 0);
    assert_int_equal(text_table_width("abc"), 3);
    assert_int_equal(text_table_width("äß"), 2);
    assert_int_equal(text_table_width("日本"), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns_are_as_wide_as_their_widest_cell),
        cmocka_unit_test(test_wide_and_combining_characters),
        cmocka_unit_test(test_what_a_terminal_obeys_is_escaped),
        cmocka_unit_test(test_width),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
