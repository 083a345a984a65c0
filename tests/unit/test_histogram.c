#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "bench/histogram.h"

static struct histogram histogram, other;

static int reset(void **state)
{
    (void)state;
    histogram_init(&histogram);
    histogram_init(&other);
    return 0;
}

static void assert_near(uint64_t value, uint64_t expected)
{
    /* A slot is 1/128 of its power of two wide. */
    assert_in_range(value, expected, expected + expected / 128 + 1);
}

static void test_empty_has_no_percentile(void **state)
{
    (void)state;
    assert_int_equal(histogram_percentile(&histogram, 50), 0);
    assert_true(histogram_mean(&histogram) == 0);
}

static void test_percentiles_of_a_known_row(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 100000; i++) {
        histogram_add(&histogram, i * 1000);
    }
    assert_near(histogram_percentile(&histogram, 50), 50000000);
    assert_near(histogram_percentile(&histogram, 90), 90000000);
    assert_near(histogram_percentile(&histogram, 99), 99000000);
    assert_near(histogram_percentile(&histogram, 99.9), 99900000);
    assert_int_equal(histogram_percentile(&histogram, 100), 100000000);
    assert_int_equal(histogram_percentile(&histogram, 0), 1000);
    assert_true(histogram_mean(&histogram) == 50000500.0);
}

static void test_small_values_are_exact(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 128; i++) {
        histogram_add(&histogram, i);
    }
    assert_int_equal(histogram_percentile(&histogram, 50), 63);
    assert_int_equal(histogram_percentile(&histogram, 75), 95);
}

static void test_one_value_is_every_percentile(void **state)
{
    (void)state;
    histogram_add(&histogram, 123456789);
    assert_int_equal(histogram_percentile(&histogram, 1), 123456789);
    assert_int_equal(histogram_percentile(&histogram, 50), 123456789);
    assert_int_equal(histogram_percentile(&histogram, 99.99), 123456789);
}

static void test_values_over_the_top_count_as_the_longest(void **state)
{
    (void)state;
    histogram_add(&histogram, 5);
    histogram_add(&histogram, UINT64_C(1) << 50);
    assert_int_equal(histogram_percentile(&histogram, 50), 5);
    assert_true(histogram_percentile(&histogram, 99) == UINT64_C(1) << 50);
}

static void test_slots_grow_and_stay_within_a_hundredth(void **state)
{
    (void)state;
    for (unsigned slot = 1; slot < HISTOGRAM_SLOTS; slot++) {
        uint64_t before = histogram_slot_end(slot - 1), end = histogram_slot_end(slot);
        assert_true(end > before);
        assert_true(end - before <= before / 128 + 1);
    }
}

static void test_merged_is_as_if_all_were_added_to_one(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 1000; i++) {
        histogram_add(i % 2 ? &histogram : &other, i * 777);
    }
    histogram_merge(&histogram, &other);
    assert_int_equal(histogram.count, 1000);
    assert_int_equal(histogram.least, 777);
    assert_int_equal(histogram.most, 777000);
    assert_near(histogram_percentile(&histogram, 50), 500 * 777);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_empty_has_no_percentile, reset),
        cmocka_unit_test_setup(test_percentiles_of_a_known_row, reset),
        cmocka_unit_test_setup(test_small_values_are_exact, reset),
        cmocka_unit_test_setup(test_one_value_is_every_percentile, reset),
        cmocka_unit_test_setup(test_values_over_the_top_count_as_the_longest, reset),
        cmocka_unit_test_setup(test_slots_grow_and_stay_within_a_hundredth, reset),
        cmocka_unit_test_setup(test_merged_is_as_if_all_were_added_to_one, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
