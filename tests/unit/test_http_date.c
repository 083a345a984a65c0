#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "edge/http_date.h"

static void test_dates_are_as_rfc_9110_has_them(void **state)
{
    (void)state;
    struct http_date date = {0};
    assert_string_equal(http_date_at(&date, 0), "Thu, 01 Jan 1970 00:00:00 GMT");
    assert_string_equal(http_date_at(&date, 784111777), "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_string_equal(http_date_at(&date, 951868799), "Tue, 29 Feb 2000 23:59:59 GMT");
    assert_string_equal(http_date_at(&date, 4102444800), "Fri, 01 Jan 2100 00:00:00 GMT");
}

static void test_a_text_is_kept_for_its_second(void **state)
{
    (void)state;
    struct http_date date = {0};
    http_date_at(&date, 784111777);
    date.text[0] = 's'; /* to see that nothing is written again */
    assert_string_equal(http_date_at(&date, 784111777), "sun, 06 Nov 1994 08:49:37 GMT");
    assert_string_equal(http_date_at(&date, 784111778), "Sun, 06 Nov 1994 08:49:38 GMT");
    assert_string_equal(http_date_at(&date, 784111777), "Sun, 06 Nov 1994 08:49:37 GMT");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dates_are_as_rfc_9110_has_them),
        cmocka_unit_test(test_a_text_is_kept_for_its_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
