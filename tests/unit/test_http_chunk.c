#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "edge/http_chunk.h"

static enum http_scanned judge(const char *line, size_t piece, uint64_t *ret_size)
{
    struct http_chunk chunk;
    http_chunk_init(&chunk);
    for (size_t at = 0, length = strlen(line); at < length; at += piece) {
        size_t taken = 0;
        enum http_scanned result =
            http_chunk_feed(&chunk, line + at, length - at < piece ? length - at : piece, &taken);
        *ret_size = chunk.size;
        if (result != HTTP_SCANNED_MORE)
            return result;
    }
    return HTTP_SCANNED_MORE;
}

static void test_sizes_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        uint64_t size;
    } cases[] = {
        {"0\r\n", 0},
        {"5\r\n", 5},
        {"aBc\r\n", 0xabc},
        {"000000000000000f\r\n", 15},
        {"7fffffffffffffff\r\n", INT64_MAX},
        {"5;a\r\n", 5},
        {"5;a=b;c=\"d \\\" \\\\\";e\r\n", 5},
        {"5;a=\"\"\r\n", 5},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (size_t piece = 1; piece <= strlen(cases[i].line); piece++) {
            uint64_t size = 0;
            assert_int_equal(judge(cases[i].line, piece, &size), HTTP_SCANNED_WHOLE);
            assert_true(size == cases[i].size);
        }
    }
}

static void test_bad_lines_are_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "\r\n",
        ";a\r\n",
        " 5\r\n",
        "5 \r\n",
        "+5\r\n",
        "-5\r\n",
        "0x5\r\n",
        "5\n",
        "5\r5",
        "5,\r\n",
        "5;\r\n",
        "5; a\r\n",
        "5;a=\r\n",
        "5;a =b\r\n",
        "5;a=\"\r\n",
        "5;a\n",
        "5;a=\"\\\r\n",
        "5;a=\"b\"c\r\n",
        "5;a=b c\n",
        "5;a=\"\x01\"",
        "5;;\r\n",
        "g\r\n",
        "8000000000000000\r\n",
        "00000000000000005\r\n",
        "ffffffffffffffff\r\n",
        "10000000000000000\r\n",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (size_t piece = 1; piece <= strlen(cases[i]); piece++) {
            uint64_t size = 0;
            if (judge(cases[i], piece, &size) != HTTP_SCANNED_BAD)
                fail_msg("not refused: %s", cases[i]);
        }
    }
}

static void test_a_line_is_bounded(void **state)
{
    (void)state;
    char line[HTTP_CHUNK_LINE_MAX + 8];
    uint64_t size = 0;
    for (int extra = 0; extra < 2; extra++) {
        memset(line, 'a', sizeof line);
        memcpy(line, "5;", 2);
        snprintf(line + HTTP_CHUNK_LINE_MAX - 2 + extra, 3, "\r\n");
        assert_int_equal(judge(line, 7, &size), extra ? HTTP_SCANNED_BAD : HTTP_SCANNED_WHOLE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes_are_read),
        cmocka_unit_test(test_bad_lines_are_refused),
        cmocka_unit_test(test_a_line_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
