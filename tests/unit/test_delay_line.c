#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "bench/delay_line.h"

#define MS 1000000u
#define S  1000000000u

static struct delay_line line;

static int end_line(void **state)
{
    (void)state;
    delay_line_deinit(&line);
    return 0;
}

static size_t arrived(uint64_t now)
{
    const uint8_t *bytes;
    return delay_line_peek(&line, now, &bytes);
}

static void test_bytes_come_after_the_delay_and_not_before(void **state)
{
    (void)state;
    assert_int_equal(delay_line_init(&line, 50 * MS, 0), 0);
    delay_line_put(&line, "hello", 5, 1000 * MS);
    assert_true(delay_line_next(&line) == 1050 * (uint64_t)MS);
    assert_int_equal(arrived(1050 * MS - 1), 0);
    assert_int_equal(arrived(1050 * MS), 5);
    const uint8_t *bytes;
    delay_line_peek(&line, 1050 * MS, &bytes);
    assert_memory_equal(bytes, "hello", 5);
    delay_line_take(&line, 5);
    assert_true(delay_line_next(&line) == UINT64_MAX);
}

static void test_the_rate_holds_bytes_back(void **state)
{
    (void)state;
    uint8_t bytes[4000] = {0};
    /* 1 MB/s: 1000 bytes a millisecond. */
    assert_int_equal(delay_line_init(&line, 10 * MS, 1000000), 0);
    for (int i = 0; i < 4; i++) {
        delay_line_put(&line, bytes, 1000, 0);
    }
    assert_int_equal(arrived(10 * MS), 0);
    assert_int_equal(arrived(11 * MS), 1000);
    assert_int_equal(arrived(13 * MS), 3000);
    assert_int_equal(arrived(14 * MS), 4000);
    /* A pause isn't made up for: what comes later begins anew. */
    delay_line_put(&line, bytes, 1000, 100 * MS);
    assert_int_equal(arrived(111 * MS - 1), 4000);
    assert_int_equal(arrived(111 * MS), 5000);
}

static void test_a_full_queue_takes_nothing(void **state)
{
    (void)state;
    static uint8_t bytes[20000];
    assert_int_equal(delay_line_init(&line, 50 * MS, 1000000), 0);
    size_t room = delay_line_room(&line, 0);
    /* DELAY_LINE_QUEUE of sending time. */
    assert_in_range(room, 5000, 5001);
    delay_line_put(&line, bytes, room, 0);
    assert_int_equal(delay_line_room(&line, 0), 0);
    uint64_t again = delay_line_room_at(&line);
    assert_in_range(again, 1 * MS, 5 * MS);
    assert_true(delay_line_room(&line, again) > 0);
}

static void test_the_end_travels_behind_the_bytes(void **state)
{
    (void)state;
    assert_int_equal(delay_line_init(&line, 20 * MS, 0), 0);
    delay_line_put(&line, "x", 1, 0);
    delay_line_end(&line, 5 * MS);
    assert_int_equal(delay_line_room(&line, 6 * MS), 0);
    assert_false(delay_line_is_over(&line, 30 * MS)); /* a byte is still in it */
    assert_int_equal(arrived(20 * MS), 1);
    delay_line_take(&line, 1);
    assert_true(delay_line_next(&line) == 25 * MS);
    assert_false(delay_line_is_over(&line, 25 * MS - 1));
    assert_true(delay_line_is_over(&line, 25 * MS));
}

static void test_a_stream_comes_out_whole_and_at_the_rate(void **state)
{
    (void)state;
    static uint8_t piece[70000];
    uint64_t in = 0, out = 0, now = 0, random = 12345;
    /* 125 MB/s (1 Gbit/s) and 50 ms, for two seconds, in pieces of any size: the ring goes round
     * many times. */
    assert_int_equal(delay_line_init(&line, 50 * MS, 125000000), 0);
    while (now < 2 * (uint64_t)S) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        size_t size = (random >> 33) % sizeof(piece), room = delay_line_room(&line, now);
        size = size < room ? size : room;
        for (size_t i = 0; i < size; i++) {
            piece[i] = (uint8_t)((in + i) * 31 >> 3);
        }
        delay_line_put(&line, piece, size, now);
        in += size;
        const uint8_t *bytes;
        size_t got;
        while ((got = delay_line_peek(&line, now, &bytes)) > 0) {
            got = got > 10000 ? 10000 : got;
            for (size_t i = 0; i < got; i++) {
                assert_int_equal(bytes[i], (uint8_t)((out + i) * 31 >> 3));
            }
            delay_line_take(&line, got);
            out += got;
        }
        now += 100000 + (random >> 40) % 200000;
    }
    /* 1.95 s of sending have arrived. */
    assert_in_range(out, 238000000, 244000000);
    assert_true(in - out >= 6000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_bytes_come_after_the_delay_and_not_before, end_line),
        cmocka_unit_test_teardown(test_the_rate_holds_bytes_back, end_line),
        cmocka_unit_test_teardown(test_a_full_queue_takes_nothing, end_line),
        cmocka_unit_test_teardown(test_the_end_travels_behind_the_bytes, end_line),
        cmocka_unit_test_teardown(test_a_stream_comes_out_whole_and_at_the_rate, end_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
