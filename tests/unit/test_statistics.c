#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "bench/statistics.h"

static void fill(struct series *series, const double *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        series_add(series, values[i]);
    }
}

static void assert_is(double value, double expected)
{
    assert_true(value > expected - 1e-9 && value < expected + 1e-9);
}

static void test_median_of_odd_and_even_counts(void **state)
{
    (void)state;
    struct series series = {0};
    assert_is(series_median(&series), 0);
    fill(&series, (const double[]){9, 1, 5}, 3);
    assert_is(series_median(&series), 5);
    series_add(&series, 7);
    assert_is(series_median(&series), 6);
    /* The order in which they came stays: ratios go round by round. */
    assert_is(series.values[0], 9);
    series_deinit(&series);
}

static void test_spread_is_from_least_to_most_by_the_median(void **state)
{
    (void)state;
    struct series series = {0};
    series_add(&series, 100);
    assert_is(series_spread(&series), 0);
    fill(&series, (const double[]){90, 110}, 2);
    assert_is(series_least(&series), 90);
    assert_is(series_most(&series), 110);
    assert_is(series_spread(&series), 20);
    series_deinit(&series);
}

static void test_ratio_goes_round_by_round(void **state)
{
    (void)state;
    struct series a = {0}, b = {0}, ratio = {0};
    fill(&a, (const double[]){10, 20, 30}, 3);
    fill(&b, (const double[]){20, 10, 0, 5}, 4);
    series_ratio(&a, &b, &ratio);
    assert_int_equal(ratio.count, 2);
    assert_is(ratio.values[0], 0.5);
    assert_is(ratio.values[1], 2);
    series_deinit(&a);
    series_deinit(&b);
    series_deinit(&ratio);
}

static void test_many_values_are_kept(void **state)
{
    (void)state;
    struct series series = {0};
    for (int i = 0; i < 1000; i++) {
        series_add(&series, 999 - i);
    }
    assert_int_equal(series.count, 1000);
    assert_is(series_median(&series), 499.5);
    series_deinit(&series);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_median_of_odd_and_even_counts),
        cmocka_unit_test(test_spread_is_from_least_to_most_by_the_median),
        cmocka_unit_test(test_ratio_goes_round_by_round),
        cmocka_unit_test(test_many_values_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
