#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "edge/http_text.h"
#include "edge/http_name.h"

static struct http_text text(const char *string)
{
    return http_text_of(string);
}

static void test_blanks_are_trimmed(void **state)
{
    (void)state;
    assert_true(http_text_same(http_text_trim(text(" \ta b\t ")), text("a b")));
    assert_int_equal(http_text_trim(text(" \t")).length, 0);
    assert_int_equal(http_text_trim(text("")).length, 0);
}

static void test_case_makes_no_difference(void **state)
{
    (void)state;
    assert_true(http_text_is(text("ChunkeD"), "chunked"));
    assert_false(http_text_is(text("chunke"), "chunked"));
    assert_false(http_text_is(text("chunkedx"), "chunked"));
}

static void test_lists_come_apart(void **state)
{
    (void)state;
    struct http_text list = text(", a ,\t,b c,, d"), one;
    static const char *const want[] = {"a", "b c", "d"};
    for (size_t i = 0; i < 3; i++) {
        assert_true(http_text_next(&list, &one));
        assert_true(http_text_is(one, want[i]));
    }
    assert_false(http_text_next(&list, &one));
}

static void test_bytes_of_tokens_and_values(void **state)
{
    (void)state;
    int tokens = 0, values = 0;
    for (int byte = 0; byte < 256; byte++) {
        tokens += http_text_is_token((unsigned char)byte);
        values += http_text_is_value((unsigned char)byte);
    }
    assert_int_equal(tokens, 26 + 26 + 10 + 15);
    assert_int_equal(values, 1 + 95 + 128); /* tab, printable, beyond ASCII */
    for (const char *bad = "()<>@,;:\\\"/[]?={} \t"; *bad; bad++)
        assert_false(http_text_is_token((unsigned char)*bad));
    assert_false(http_text_is_token(0) || http_text_is_value(0) || http_text_is_value(0x7f));
}

static void test_names_are_known(void **state)
{
    (void)state;
    assert_int_equal(http_name_find(text("transfer-ENCODING")), HTTP_NAME_TRANSFER_ENCODING);
    assert_int_equal(http_name_find(text("Hosts")), HTTP_NAME_OTHER);
    assert_int_equal(http_name_find(text("Content_Length")), HTTP_NAME_OTHER);
    assert_int_equal(http_name_find(text("x_forwarded-for")), HTTP_NAME_DISGUISED);
    assert_int_equal(http_name_find(text("X_Real_IP")), HTTP_NAME_DISGUISED);
    assert_int_equal(http_name_find(text("X_Real_IQ")), HTTP_NAME_OTHER);
    assert_true(http_name_is_hop(http_name_find(text("Proxy-Connection"))));
    assert_false(http_name_is_hop(http_name_find(text("Trailer"))));
    assert_true(http_name_fits_trailers(text("Server-Timing")));
    assert_false(http_name_fits_trailers(text("content-type")));
    assert_false(http_name_fits_trailers(text("X-Forwarded-Proto")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blanks_are_trimmed),
        cmocka_unit_test(test_case_makes_no_difference),
        cmocka_unit_test(test_lists_come_apart),
        cmocka_unit_test(test_bytes_of_tokens_and_values),
        cmocka_unit_test(test_names_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
