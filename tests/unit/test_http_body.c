#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "edge/http_body.h"

struct result {
    char bytes[512];
    size_t length;
    long taken; /* of the input, or a fault */
    bool is_over;
    uint64_t count;
};

static void collect(struct fifo *fifo, struct result *result)
{
    const void *bytes;
    size_t length;
    while ((bytes = fifo_peek(fifo, &length), length)) {
        assert_true(result->length + length < sizeof result->bytes);
        memcpy(result->bytes + result->length, bytes, length);
        result->length += length;
        fifo_drop(fifo, length);
    }
    result->bytes[result->length] = 0;
}

/* ends: the connection ends after the input. */
static struct result pass(enum http_framing in, uint64_t size, enum http_framing out,
                          const char *input, size_t piece, bool ends)
{
    struct http_body body;
    struct fifo fifo = {0};
    struct result result = {0};
    http_body_init(&body, in, size, out);
    for (size_t at = 0, length = strlen(input); at < length && !http_body_is_over(&body);
         at += piece) {
        size_t part = length - at < piece ? length - at : piece;
        long taken = http_body_feed(&body, input + at, part, &fifo);
        collect(&fifo, &result);
        result.taken = taken < 0 ? taken : result.taken + taken;
        if (taken < 0)
            break;
    }
    if (ends && result.taken >= 0) {
        int fault = http_body_finish(&body, &fifo);
        if (fault < 0)
            result.taken = fault;
        collect(&fifo, &result);
    }
    result.is_over = http_body_is_over(&body);
    result.count = body.count;
    http_body_deinit(&body);
    fifo_deinit(&fifo);
    return result;
}

static void test_framings_are_turned_into_each_other(void **state)
{
    (void)state;
    static const struct {
        enum http_framing in, out;
        const char *input, *output;
        uint64_t size, count;
        long taken;
        bool ends;
    } cases[] = {
        {HTTP_FRAMING_NONE, HTTP_FRAMING_NONE, "next", "", 0, 0, 0, false},
        {HTTP_FRAMING_LENGTH, HTTP_FRAMING_LENGTH, "hellonext", "hello", 5, 5, 5, false},
        {HTTP_FRAMING_LENGTH, HTTP_FRAMING_LENGTH, "next", "", 0, 0, 0, false},
        {HTTP_FRAMING_CHUNKED, HTTP_FRAMING_CHUNKED, "3;x\r\nabc\r\n0\r\n\r\nnext",
         "3\r\nabc\r\n0\r\n\r\n", 0, 3, 15, false},
        {HTTP_FRAMING_CHUNKED, HTTP_FRAMING_CHUNKED, "0\r\nA:b \r\n\r\nnext", "0\r\nA: b\r\n\r\n",
         0, 0, 11, false},
        {HTTP_FRAMING_CHUNKED, HTTP_FRAMING_UNTIL_CLOSE, "3\r\nabc\r\n0\r\nA: b\r\n\r\n", "abc", 0,
         3, 19, false},
        {HTTP_FRAMING_UNTIL_CLOSE, HTTP_FRAMING_CHUNKED, "abc", "3\r\nabc\r\n0\r\n\r\n", 0, 3, 3,
         true},
        {HTTP_FRAMING_UNTIL_CLOSE, HTTP_FRAMING_UNTIL_CLOSE, "abc", "abc", 0, 3, 3, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct result whole =
            pass(cases[i].in, cases[i].size, cases[i].out, cases[i].input, 1000, cases[i].ends);
        assert_string_equal(whole.bytes, cases[i].output);
        for (size_t piece = 1; piece < 20; piece++) {
            struct result torn = pass(cases[i].in, cases[i].size, cases[i].out, cases[i].input,
                                      piece, cases[i].ends);
            assert_int_equal(torn.taken, cases[i].taken);
            assert_int_equal(torn.count, cases[i].count);
            assert_true(torn.is_over);
        }
    }
}

static void test_a_chunk_is_passed_on_as_it_comes(void **state)
{
    (void)state;
    struct result result =
        pass(HTTP_FRAMING_CHUNKED, 0, HTTP_FRAMING_CHUNKED, "a\r\n01234", 1000, false);
    assert_string_equal(result.bytes, "5\r\n01234\r\n");
    assert_false(result.is_over);
}

static void test_broken_bodies_are_seen(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "x",
        "3\r\nabcd",
        "3\r\nabc\rx",
        "3\r\nabc\n",
        "0\r\nContent-Length: 3\r\n\r\n",
        "0\r\nX : y\r\n\r\n",
        "0\r\n x\r\n",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t piece = 1; piece < 30; piece++)
            assert_int_equal(
                pass(HTTP_FRAMING_CHUNKED, 0, HTTP_FRAMING_CHUNKED, cases[i], piece, false).taken,
                HTTP_BODY_BAD);
}

static void test_an_early_end_is_no_end(void **state)
{
    (void)state;
    assert_int_equal(pass(HTTP_FRAMING_LENGTH, 5, HTTP_FRAMING_LENGTH, "hell", 9, true).taken,
                     HTTP_BODY_BAD);
    assert_int_equal(
        pass(HTTP_FRAMING_CHUNKED, 0, HTTP_FRAMING_CHUNKED, "3\r\nabc\r\n", 9, true).taken,
        HTTP_BODY_BAD);
    assert_int_equal(
        pass(HTTP_FRAMING_CHUNKED, 0, HTTP_FRAMING_CHUNKED, "0\r\nA: b\r\n", 2, true).taken,
        HTTP_BODY_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_framings_are_turned_into_each_other),
        cmocka_unit_test(test_a_chunk_is_passed_on_as_it_comes),
        cmocka_unit_test(test_broken_bodies_are_seen),
        cmocka_unit_test(test_an_early_end_is_no_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
