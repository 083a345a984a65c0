#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fifo.h"

/* Takes everything out, in pieces of at most `piece` bytes. Returns how much came. */
static size_t drain(struct fifo *fifo, unsigned char *to, size_t piece)
{
    size_t total = 0, length;
    const void *bytes;
    while ((bytes = fifo_peek(fifo, &length)), length > 0) {
        if (length > piece)
            length = piece;
        memcpy(to + total, bytes, length);
        fifo_drop(fifo, length);
        total += length;
    }
    return total;
}

static void test_keeps_order_over_many_sizes(void **state)
{
    enum { TOTAL = 200000 };
    unsigned char *from = malloc(TOTAL), *to = malloc(TOTAL);
    struct fifo fifo = {0};
    for (size_t i = 0; i < TOTAL; i++)
        from[i] = (unsigned char)(i * 7 + i / 251);
    size_t pushed = 0, step = 1;
    while (pushed < TOTAL) {
        size_t length = step < TOTAL - pushed ? step : TOTAL - pushed;
        assert_int_equal(fifo_push(&fifo, from + pushed, length), 0);
        pushed += length;
        step = step * 3 % 40001 + 1;
    }
    assert_int_equal(fifo.size, TOTAL);
    assert_int_equal(drain(&fifo, to, 12345), TOTAL);
    assert_memory_equal(from, to, TOTAL);
    assert_int_equal(fifo.size, 0);
    fifo_deinit(&fifo);
    free(from);
    free(to);
}

static void test_is_empty_after_it_was_drained(void **state)
{
    struct fifo fifo = {0};
    unsigned char byte;
    size_t length = 1;
    assert_int_equal(fifo_push(&fifo, "x", 1), 0);
    assert_int_equal(drain(&fifo, &byte, 1), 1);
    assert_null(fifo_peek(&fifo, &length));
    assert_int_equal(length, 0);
    /* No chunk is kept: an idle substream costs no buffer. */
    assert_null(fifo.first);
    assert_null(fifo.last);
}

static void test_takes_bytes_again_after_it_was_drained(void **state)
{
    struct fifo fifo = {0};
    unsigned char bytes[4];
    assert_int_equal(fifo_push(&fifo, "ab", 2), 0);
    assert_int_equal(drain(&fifo, bytes, 2), 2);
    assert_int_equal(fifo_push(&fifo, "cd", 2), 0);
    assert_int_equal(drain(&fifo, bytes, 1), 2);
    assert_memory_equal(bytes, "cd", 2);
}

static void test_deinit_gives_back_what_is_left(void **state)
{
    struct fifo fifo = {0};
    char bytes[3 * FIFO_CHUNK] = {0};
    assert_int_equal(fifo_push(&fifo, bytes, sizeof bytes), 0);
    fifo_deinit(&fifo);
    assert_int_equal(fifo.size, 0);
    assert_null(fifo.first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keeps_order_over_many_sizes),
        cmocka_unit_test(test_is_empty_after_it_was_drained),
        cmocka_unit_test(test_takes_bytes_again_after_it_was_drained),
        cmocka_unit_test(test_deinit_gives_back_what_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
