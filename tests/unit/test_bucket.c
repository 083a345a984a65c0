/* Token buckets: how fast they empty, and how fast they fill. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <pthread.h>

#include "base/bucket.h"

#define SECOND UINT64_C(1000000)
#define START  (1000 * SECOND)

/* How many can be taken at that moment. */
static unsigned drain(struct bucket *bucket, uint32_t rate, uint64_t now)
{
    unsigned count = 0;
    while (count < 1000000 && bucket_take(bucket, rate, now) == 0)
        count++;
    return count;
}

static void test_burst_is_a_second_or_five(void **state)
{
    static const unsigned rates[][2] = {{1, 5}, {5, 5}, {6, 6}, {1000, 1000}};
    for (size_t i = 0; i < 4; i++) {
        struct bucket bucket = {0};
        assert_int_equal(drain(&bucket, rates[i][0], START), rates[i][1]);
    }
}

static void test_it_fills_at_its_rate(void **state)
{
    struct bucket bucket = {0};
    assert_int_equal(drain(&bucket, 10, START), 10);
    assert_int_equal(drain(&bucket, 10, START + SECOND / 10 - 1), 0);
    assert_int_equal(drain(&bucket, 10, START + SECOND / 10), 1);
    assert_int_equal(drain(&bucket, 10, START + SECOND / 2), 4);
    assert_int_equal(drain(&bucket, 10, START + 100 * SECOND), 10); /* no more than it holds */
}

static void test_it_tells_how_long_to_wait(void **state)
{
    struct bucket bucket = {0};
    (void)drain(&bucket, 2, START);
    uint64_t wait = bucket_take(&bucket, 2, START);
    assert_int_equal(wait, SECOND / 2);
    assert_int_not_equal(bucket_take(&bucket, 2, START + wait - 1), 0);
    assert_int_equal(bucket_take(&bucket, 2, START + wait), 0);
}

/* The threads' clocks are read a little earlier or later. */
static void test_a_clock_behind_gives_nothing_away(void **state)
{
    struct bucket bucket = {0};
    (void)drain(&bucket, 10, START);
    assert_int_equal(drain(&bucket, 10, START - SECOND), 0);
    assert_int_equal(drain(&bucket, UINT32_MAX, START + 100 * SECOND), 1000000);
}

static void *take_all(void *user)
{
    static unsigned counts[4];
    static _Atomic unsigned next;
    unsigned *count = &counts[next++];
    *count = drain(user, 5000, START);
    return count;
}

static void test_threads_share_it(void **state)
{
    struct bucket bucket = {0};
    pthread_t threads[4];
    unsigned sum = 0;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_all, &bucket), 0);
    for (size_t i = 0; i < 4; i++) {
        void *count;
        pthread_join(threads[i], &count);
        sum += *(unsigned *)count;
    }
    assert_int_equal(sum, 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_burst_is_a_second_or_five),
        cmocka_unit_test(test_it_fills_at_its_rate),
        cmocka_unit_test(test_it_tells_how_long_to_wait),
        cmocka_unit_test(test_a_clock_behind_gives_nothing_away),
        cmocka_unit_test(test_threads_share_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
