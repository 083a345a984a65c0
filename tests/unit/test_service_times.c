#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "agent/service_times.h"

static struct service_times times;

static int clear(void **state)
{
    memset(&times, 0, sizeof times);
    return 0;
}

static void test_the_last_answer_of_an_open_substream(void **state)
{
    struct service_time time;
    service_times_add(&times, &time, 1, 3);
    assert_int_equal(service_times_find(&times, 1, 3, 100), 0);
    service_time_asked(&time, 100);
    service_time_asked(&time, 150); /* more of the same request */
    service_time_answered(&time, 400);
    service_time_answered(&time, 900); /* more of the same answer */
    assert_int_equal(service_times_find(&times, 1, 3, 1000), 300);
    service_time_asked(&time, 1000);
    service_time_answered(&time, 1010);
    assert_int_equal(service_times_find(&times, 1, 3, 1010), 10);
}

static void test_an_answer_at_once_is_known(void **state)
{
    struct service_time time;
    service_times_add(&times, &time, 1, 3);
    service_time_asked(&time, 100);
    service_time_answered(&time, 100);
    assert_int_equal(service_times_find(&times, 1, 3, 100), 1);
}

static void test_one_that_is_over_is_kept_a_while(void **state)
{
    struct service_time time;
    service_times_add(&times, &time, 1, 3);
    service_time_asked(&time, 100);
    service_time_answered(&time, 400);
    service_times_end(&times, &time, 1000);
    memset(&time, 0xee, sizeof time); /* it is its owner's */
    assert_int_equal(service_times_find(&times, 1, 3, 1000 + SERVICE_TIMES_AGE), 300);
    assert_int_equal(service_times_find(&times, 1, 3, 1001 + SERVICE_TIMES_AGE), 0);
}

static void test_tunnels_and_substreams_are_told_apart(void **state)
{
    struct service_time list[3];
    const uint64_t tunnels[] = {1, 2, 1};
    const uint16_t substreams[] = {3, 3, 3 + 2 * SERVICE_TIMES_BUCKETS}; /* one bucket for two */
    for (unsigned i = 0; i < 3; i++) {
        service_times_add(&times, &list[i], tunnels[i], substreams[i]);
        service_time_asked(&list[i], 10);
        service_time_answered(&list[i], 20 + i);
    }
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(service_times_find(&times, tunnels[i], substreams[i], 30), 10 + i);
    service_times_end(&times, &list[0], 30);
    service_times_end(&times, &list[2], 30);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(service_times_find(&times, tunnels[i], substreams[i], 30), 10 + i);
    service_times_end(&times, &list[1], 30);
}

static void test_the_newest_of_those_that_are_over(void **state)
{
    struct service_time time;
    for (unsigned i = 0; i < SERVICE_TIMES_KEPT + 5; i++) {
        service_times_add(&times, &time, 1, (uint16_t)(2 * i + 1));
        service_time_asked(&time, 10);
        service_time_answered(&time, 11 + i);
        service_times_end(&times, &time, 2000);
    }
    assert_int_equal(service_times_find(&times, 1, 1, 2000), 0); /* its place was taken */
    assert_int_equal(service_times_find(&times, 1, 11, 2000), 6);
    service_times_add(&times, &time, 1, 11); /* the id is used again */
    assert_int_equal(service_times_find(&times, 1, 11, 2000), 6);
    service_time_asked(&time, 2000);
    service_time_answered(&time, 2050);
    assert_int_equal(service_times_find(&times, 1, 11, 2050), 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_the_last_answer_of_an_open_substream, clear),
        cmocka_unit_test_setup(test_an_answer_at_once_is_known, clear),
        cmocka_unit_test_setup(test_one_that_is_over_is_kept_a_while, clear),
        cmocka_unit_test_setup(test_tunnels_and_substreams_are_told_apart, clear),
        cmocka_unit_test_setup(test_the_newest_of_those_that_are_over, clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
