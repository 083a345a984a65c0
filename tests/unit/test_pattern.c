#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "bench/pattern.h"

#define LENGTH 200000

static uint8_t *bytes;

static int make(void **state)
{
    (void)state;
    pattern_init();
    bytes = malloc(LENGTH);
    for (size_t at = 0; at < LENGTH; at += PATTERN_CHUNK) {
        size_t piece = LENGTH - at < PATTERN_CHUNK ? LENGTH - at : PATTERN_CHUNK;
        memcpy(bytes + at, pattern_at(7, at), piece);
    }
    return 0;
}

static int drop(void **state)
{
    (void)state;
    free(bytes);
    return 0;
}

static void test_its_own_bytes_are_right_in_any_pieces(void **state)
{
    (void)state;
    assert_int_equal(pattern_mismatches(7, 0, bytes, LENGTH), 0);
    for (size_t at = 0, step = 1; at < LENGTH; at += step, step = step * 3 % 7001) {
        size_t piece = LENGTH - at < step ? LENGTH - at : step;
        assert_int_equal(pattern_mismatches(7, at, bytes + at, piece), 0);
    }
}

static void test_one_wrong_byte_is_counted(void **state)
{
    (void)state;
    bytes[150000] ^= 1;
    assert_int_equal(pattern_mismatches(7, 0, bytes, LENGTH), 1);
    bytes[150000] ^= 1;
}

static void test_moved_bytes_are_wrong(void **state)
{
    (void)state;
    static const size_t lost[] = {1, 1448, 4096, 16379, 16384, 65536};
    for (size_t i = 0; i < sizeof(lost) / sizeof(lost[0]); i++) {
        size_t wrong = pattern_mismatches(7, 0, bytes + lost[i], LENGTH - lost[i]);
        assert_true(wrong > (LENGTH - lost[i]) / 2);
    }
}

static void test_another_seed_is_wrong(void **state)
{
    (void)state;
    assert_true(pattern_mismatches(8, 0, bytes, LENGTH) > LENGTH / 2);
}

static void test_offsets_and_seeds_near_the_end_of_numbers(void **state)
{
    (void)state;
    const uint8_t *at = pattern_at(UINT64_MAX, UINT64_MAX);
    uint64_t both = UINT64_MAX % PATTERN_PERIOD * 2 % PATTERN_PERIOD;
    assert_memory_equal(at, pattern_at(both, 0), PATTERN_CHUNK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_its_own_bytes_are_right_in_any_pieces),
        cmocka_unit_test(test_one_wrong_byte_is_counted),
        cmocka_unit_test(test_moved_bytes_are_wrong),
        cmocka_unit_test(test_another_seed_is_wrong),
        cmocka_unit_test(test_offsets_and_seeds_near_the_end_of_numbers),
    };
    return cmocka_run_group_tests(tests, make, drop);
}
