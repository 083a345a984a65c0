#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/backoff.h"

#define SEEDS 1000

static void test_waits_double_up_to_the_most(void **state)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct backoff backoff;
        uint64_t whole = BACKOFF_FIRST;
        backoff_init(&backoff, seed);
        for (int i = 0; i < 40; i++) {
            uint64_t wait = backoff_next(&backoff);
            assert_in_range(wait, whole / 2, whole);
            whole = whole * 2 > BACKOFF_MOST ? BACKOFF_MOST : whole * 2;
        }
    }
}

static void test_waits_are_spread(void **state)
{
    unsigned lower = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct backoff backoff;
        backoff_init(&backoff, seed);
        lower += backoff_next(&backoff) < BACKOFF_FIRST * 3 / 4;
    }
    assert_in_range(lower, SEEDS * 2 / 5, SEEDS * 3 / 5);
}

static void test_the_same_seed_waits_the_same(void **state)
{
    struct backoff one, two;
    backoff_init(&one, 7);
    backoff_init(&two, 7);
    for (int i = 0; i < 10; i++)
        assert_int_equal(backoff_next(&one), backoff_next(&two));
}

static void test_a_reset_begins_anew(void **state)
{
    struct backoff backoff;
    backoff_init(&backoff, 1);
    for (int i = 0; i < 10; i++)
        (void)backoff_next(&backoff);
    backoff_reset(&backoff);
    assert_in_range(backoff_next(&backoff), BACKOFF_FIRST / 2, BACKOFF_FIRST);
}

/* A server that was away for 3 s has every agent back within 10 s of its going. */
static void test_all_are_back_soon_after_a_restart(void **state)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct backoff backoff;
        uint64_t at = 0;
        backoff_init(&backoff, seed);
        while (at < 3000000)
            at += backoff_next(&backoff);
        assert_in_range(at, 3000000, 8000000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waits_double_up_to_the_most),
        cmocka_unit_test(test_waits_are_spread),
        cmocka_unit_test(test_the_same_seed_waits_the_same),
        cmocka_unit_test(test_a_reset_begins_anew),
        cmocka_unit_test(test_all_are_back_soon_after_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
