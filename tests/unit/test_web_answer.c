#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "bench/web_answer.h"

#define BODY "hello"

static struct web_answer answer;

/* Feeds it in pieces of that size; the result, and how many bytes were the answer's. */
static enum web_result feed(const char *text, size_t piece, size_t *ret_taken)
{
    size_t length = strlen(text);
    enum web_result result = WEB_MORE;
    *ret_taken = 0;
    web_answer_init(&answer, (const uint8_t *)BODY, sizeof(BODY) - 1);
    while (result == WEB_MORE && *ret_taken < length) {
        size_t size = length - *ret_taken < piece ? length - *ret_taken : piece, taken = 99;
        result = web_answer_feed(&answer, (const uint8_t *)text + *ret_taken, size, &taken);
        assert_true(taken <= size);
        assert_true(result != WEB_MORE || taken == size);
        *ret_taken += taken;
    }
    return result;
}

/* The same whatever the pieces. */
static enum web_result feed_torn(const char *text, size_t *ret_taken)
{
    size_t whole;
    enum web_result result = feed(text, strlen(text), &whole);
    for (size_t piece = 1; piece < 40; piece++) {
        assert_int_equal(feed(text, piece, ret_taken), result);
        assert_true(result == WEB_BAD || *ret_taken == whole);
    }
    *ret_taken = whole;
    return result;
}

static void assert_bad(const char *text, const char *fault)
{
    size_t taken;
    assert_int_equal(feed_torn(text, &taken), WEB_BAD);
    assert_string_equal(answer.fault, fault);
}

static void test_the_right_answer(void **state)
{
    (void)state;
    static const char head[] = "HTTP/1.1 200 OK\r\nServer: x\r\ncontent-length: 5\r\n\r\n";
    char text[256];
    size_t taken;
    snprintf(text, sizeof(text), "%s" BODY "HTTP/1.1 500", head);
    assert_int_equal(feed_torn(text, &taken), WEB_DONE);
    assert_int_equal(taken, sizeof(head) - 1 + sizeof(BODY) - 1);
    assert_int_equal(answer.status, 200);
    assert_null(answer.fault);
}

static void test_a_part_of_it_is_not_enough(void **state)
{
    (void)state;
    size_t taken;
    assert_int_equal(feed_torn("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", &taken),
                     WEB_MORE);
    assert_int_equal(feed_torn("HTTP/1.1 200 OK\r\nContent-Len", &taken), WEB_MORE);
}

static void test_a_wrong_body(void **state)
{
    (void)state;
    assert_bad("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhellx", "a body with other bytes");
    assert_bad("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhell", "a body of another length");
    assert_bad("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "a body of another length");
}

static void test_other_answers_are_read_over(void **state)
{
    (void)state;
    size_t taken;
    assert_int_equal(
        feed_torn("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 3\r\n\r\nno!more", &taken),
        WEB_DONE);
    assert_int_equal(answer.status, 503);
    assert_int_equal(taken,
                     strlen("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 3\r\n\r\nno!"));
}

static void test_interim_answers_are_passed_over(void **state)
{
    (void)state;
    size_t taken;
    assert_int_equal(feed_torn("HTTP/1.1 103 Early Hints\r\nContent-Length: 9\r\n\r\n"
                               "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
                               &taken),
                     WEB_DONE);
    assert_int_equal(answer.status, 200);
}

static void test_switching_protocols_ends_with_its_head(void **state)
{
    (void)state;
    static const char head[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";
    char text[256];
    size_t taken;
    snprintf(text, sizeof(text), "%sraw", head);
    assert_int_equal(feed_torn(text, &taken), WEB_DONE);
    assert_int_equal(answer.status, 101);
    assert_int_equal(taken, sizeof(head) - 1);
}

static void test_what_is_no_answer(void **state)
{
    (void)state;
    char head[WEB_HEAD_MAX + 64] = "HTTP/1.1 200 OK\r\nX: ";
    assert_bad("HTTP/1.0 200 OK\r\n", "no status line of HTTP/1.1");
    assert_bad("\r\n", "no status line of HTTP/1.1");
    assert_bad("HTTP/1.1 2x0 OK\r\n", "no status in the status line");
    assert_bad("HTTP/1.1 2000\r\n", "no status in the status line");
    assert_bad("HTTP/1.1 200 OK\r\n\r\n", "an answer without Content-Length");
    assert_bad("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n",
               "a Content-Length that isn't one");
    assert_bad("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n", "a Content-Length that isn't one");
    assert_bad("HTTP/1.1 200 OK\r\nContent-Length:\r\n", "a Content-Length that isn't one");
    memset(head + strlen(head), 'x', WEB_HEAD_MAX);
    assert_bad(head, "a head without end");
}

static void test_a_line_may_be_long(void **state)
{
    (void)state;
    char text[2048] = "HTTP/1.1 200 OK\r\nX: ";
    size_t used = strlen(text), taken;
    memset(text + used, 'x', 1000);
    strcpy(text + used + 1000, "\r\nContent-Length: 5\r\n\r\nhello");
    assert_int_equal(feed_torn(text, &taken), WEB_DONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_right_answer),
        cmocka_unit_test(test_a_part_of_it_is_not_enough),
        cmocka_unit_test(test_a_wrong_body),
        cmocka_unit_test(test_other_answers_are_read_over),
        cmocka_unit_test(test_interim_answers_are_passed_over),
        cmocka_unit_test(test_switching_protocols_ends_with_its_head),
        cmocka_unit_test(test_what_is_no_answer),
        cmocka_unit_test(test_a_line_may_be_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
