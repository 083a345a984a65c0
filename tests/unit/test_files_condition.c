#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/files_condition.h"
#include "edge/http_date.h"
#include "file_head.h"

#define DATE  "Sun, 06 Nov 1994 08:49:37 GMT"
#define LATER "Sun, 06 Nov 1994 08:49:38 GMT"
#define EARLY "Sun, 06 Nov 1994 08:49:36 GMT"

static struct files_version version = {.size = 1000, .modified = 784111777, .tag = "\"abc\""};
static uint64_t first, last;

static int judge(const char *fields)
{
    static char text[4096];
    static struct http_head head;
    first = last = 4711;
    snprintf(text, sizeof text, "GET /a HTTP/1.1\r\nHost: a\r\n%s\r\n", fields);
    read_head(text, &head);
    return files_condition_judge(&head, false, &version, &first, &last);
}

static void expect(const char *fields, int status)
{
    int judged = judge(fields);
    if (judged != status)
        fail_msg("%s: %d, not %d", fields, judged, status);
    if (status != 206)
        assert_true(first == 4711 && last == 4711);
}

static void expect_part(const char *fields, uint64_t from, uint64_t to)
{
    expect(fields, 206);
    assert_int_equal(first, from);
    assert_int_equal(last, to);
}

static void test_dates_are_written_and_read(void **state)
{
    (void)state;
    char date[HTTP_DATE_SIZE];
    assert_string_equal(http_date_format(784111777, date), DATE);
    assert_string_equal(http_date_format(0, date), "Thu, 01 Jan 1970 00:00:00 GMT");
    expect("If-Modified-Since: " DATE "\r\n", 304);
    expect("If-Modified-Since: " LATER "\r\n", 304);
    expect("If-Modified-Since: " EARLY "\r\n", 200);
    expect("If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT\r\n", 304);
    expect("If-Modified-Since: Sun Nov  6 08:49:37 1994\r\n", 304);
    expect("If-Modified-Since: soon\r\n", 200);
    expect("If-Modified-Since:\r\n", 200);
    expect("If-Unmodified-Since: " DATE "\r\n", 200);
    expect("If-Unmodified-Since: " EARLY "\r\n", 412);
}

static void test_tags_are_compared(void **state)
{
    (void)state;
    expect("If-None-Match: \"abc\"\r\n", 304);
    expect("If-None-Match: W/\"abc\"\r\n", 304);
    expect("If-None-Match: \"x\", \"abc\"\r\n", 304);
    expect("If-None-Match: \"x\"\r\nIf-None-Match: \"abc\"\r\n", 304);
    expect("If-None-Match: *\r\n", 304);
    expect("If-None-Match: \"ABC\"\r\n", 200);
    expect("If-None-Match: abc\r\n", 200);
    expect("If-None-Match: \"x\"\r\nIf-Modified-Since: " LATER "\r\n", 200); /* the tag alone */
    expect("If-Match: \"abc\"\r\n", 200);
    expect("If-Match: *\r\n", 200);
    expect("If-Match: W/\"abc\"\r\n", 412);
    expect("If-Match: \"x\"\r\n", 412);
    expect("If-Match: \"abc\"\r\nIf-Unmodified-Since: " EARLY "\r\n", 200);
    expect("If-Match: \"x\"\r\nIf-None-Match: \"abc\"\r\n", 412);
}

static void test_ranges_are_parts(void **state)
{
    (void)state;
    expect_part("Range: bytes=0-0\r\n", 0, 0);
    expect_part("Range: bytes=10-19\r\n", 10, 19);
    expect_part("Range: BYTES=10-19\r\n", 10, 19);
    expect_part("Range: bytes= 10-19 ,\r\n", 10, 19);
    expect_part("Range: bytes=990-\r\n", 990, 999);
    expect_part("Range: bytes=990-2000\r\n", 990, 999);
    expect_part("Range: bytes=0-99999999999999999999999999\r\n", 0, 999);
    expect_part("Range: bytes=-1\r\n", 999, 999);
    expect_part("Range: bytes=-1000\r\n", 0, 999);
    expect_part("Range: bytes=-99999999999999999999999999\r\n", 0, 999);
}

static void test_ranges_outside_are_not_satisfiable(void **state)
{
    (void)state;
    expect("Range: bytes=1000-\r\n", 416);
    expect("Range: bytes=1000-1001\r\n", 416);
    expect("Range: bytes=99999999999999999999999999-\r\n", 416);
    expect("Range: bytes=-0\r\n", 416);
    version.size = 0;
    expect("Range: bytes=0-\r\n", 416);
    expect("Range: bytes=0-0\r\n", 416);
    expect("Range: bytes=-1\r\n", 416);
    version.size = 1000;
}

static void test_other_ranges_are_the_whole_file(void **state)
{
    (void)state;
    static const char *const others[] = {
        "bytes=",     "bytes=-",   "bytes=a-b",  "bytes=1",       "bytes=1-2-3", "bytes=5-4",
        "bytes=0x1-", "items=0-1", "bytes 0-1",  "bytes=1 -2",    "bytes=--1",   "bytes=0-1,5-6",
        "0-1",        "byte=0-1",  "bytes=0-1x", "bytes=0-1, -1",
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        char field[64];
        snprintf(field, sizeof field, "Range: %s\r\n", others[i]);
        expect(field, 200);
    }
    expect("Range: bytes=0-1\r\nRange: bytes=0-1\r\n", 200);
}

static void test_a_range_may_be_of_one_version_alone(void **state)
{
    (void)state;
    expect_part("Range: bytes=0-1\r\nIf-Range: \"abc\"\r\n", 0, 1);
    expect("Range: bytes=0-1\r\nIf-Range: W/\"abc\"\r\n", 200);
    expect("Range: bytes=0-1\r\nIf-Range: \"x\"\r\n", 200);
    expect_part("Range: bytes=0-1\r\nIf-Range: " DATE "\r\n", 0, 1);
    expect("Range: bytes=0-1\r\nIf-Range: " LATER "\r\n", 200);
    expect("Range: bytes=2000-\r\nIf-Range: \"x\"\r\n", 200);
    expect("Range: bytes=0-1\r\nIf-None-Match: \"abc\"\r\n", 304);
    expect_part("Range: bytes=0-1\r\nIf-None-Match: \"x\"\r\n", 0, 1);
}

static void test_head_has_no_parts(void **state)
{
    (void)state;
    static const char text[] = "HEAD /a HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\n\r\n";
    struct http_head head;
    read_head(text, &head);
    assert_int_equal(files_condition_judge(&head, true, &version, &first, &last), 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dates_are_written_and_read),
        cmocka_unit_test(test_tags_are_compared),
        cmocka_unit_test(test_ranges_are_parts),
        cmocka_unit_test(test_ranges_outside_are_not_satisfiable),
        cmocka_unit_test(test_other_ranges_are_the_whole_file),
        cmocka_unit_test(test_a_range_may_be_of_one_version_alone),
        cmocka_unit_test(test_head_has_no_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
