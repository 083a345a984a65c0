#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "edge/http_gather.h"

#define MAX 256

/* Fed in pieces of `piece` bytes: the result, and how much was taken. */
static enum http_scanned scan(enum http_scan_kind kind, const char *bytes, size_t length,
                              size_t piece, size_t *ret_taken)
{
    struct http_scan scan;
    http_scan_init(&scan, kind);
    *ret_taken = 0;
    for (size_t at = 0; at < length; at += piece) {
        size_t part = length - at < piece ? length - at : piece, taken = 0;
        char *exact = malloc(part);
        memcpy(exact, bytes + at, part);
        enum http_scanned result = http_scan_feed(&scan, exact, part, &taken);
        free(exact);
        *ret_taken += taken;
        if (result != HTTP_SCANNED_MORE)
            return result;
    }
    return HTTP_SCANNED_MORE;
}

/* Whole, byte by byte and in pieces: one verdict. */
static enum http_scanned judge(enum http_scan_kind kind, const char *bytes, size_t length,
                               size_t *ret_taken)
{
    enum http_scanned whole = scan(kind, bytes, length, length ? length : 1, ret_taken);
    for (size_t piece = 1; piece < 12; piece++) {
        size_t taken;
        assert_int_equal(scan(kind, bytes, length, piece, &taken), whole);
        if (whole != HTTP_SCANNED_BAD)
            assert_int_equal(taken, *ret_taken);
    }
    return whole;
}

static void test_heads_end_at_their_empty_line(void **state)
{
    (void)state;
    static const struct {
        enum http_scan_kind kind;
        const char *head;
    } cases[] = {
        {HTTP_SCAN_REQUEST, "GET / HTTP/1.1\r\n\r\n"},
        {HTTP_SCAN_REQUEST, "\r\nGET / HTTP/9.9\r\n\r\n"},
        {HTTP_SCAN_REQUEST, "!x /\xc3\xa9?{}|\\ HTTP/1.1\r\nA:\r\nB: \t\xff\r\nC:d\r\n\r\n"},
        {HTTP_SCAN_ANSWER, "HTTP/1.1 200 OK\r\nA: b\r\n\r\n"},
        {HTTP_SCAN_ANSWER, "HTTP/1.1 200\r\n\r\n"},
        {HTTP_SCAN_ANSWER, "HTTP/1.1 599 \r\n\r\n"},
        {HTTP_SCAN_ANSWER, "HTTP/1.1 404 Not\tFound \xe9\r\n\r\n"},
        {HTTP_SCAN_TRAILERS, "\r\n"},
        {HTTP_SCAN_TRAILERS, "A: b\r\nC: d\r\n\r\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[MAX];
        size_t taken, length = strlen(cases[i].head);
        assert_int_equal(judge(cases[i].kind, cases[i].head, length, &taken), HTTP_SCANNED_WHOLE);
        assert_int_equal(taken, length);
        for (size_t part = 0; part < length; part++)
            assert_int_equal(judge(cases[i].kind, cases[i].head, part, &taken), HTTP_SCANNED_MORE);
        snprintf(text, sizeof text, "%s\x01 what follows is another's", cases[i].head);
        assert_int_equal(judge(cases[i].kind, text, strlen(text), &taken), HTTP_SCANNED_WHOLE);
        assert_int_equal(taken, length);
    }
}

static void test_bad_heads_are_seen_at_their_bad_byte(void **state)
{
    (void)state;
    /* Good up to the byte before the last, bad with it. */
    static const struct {
        enum http_scan_kind kind;
        const char *head;
    } cases[] = {
        {HTTP_SCAN_REQUEST, " "},
        {HTTP_SCAN_REQUEST, "\n"},
        {HTTP_SCAN_REQUEST, "\r\n\r"},
        {HTTP_SCAN_REQUEST, "GE\t"},
        {HTTP_SCAN_REQUEST, "GET  "},
        {HTTP_SCAN_REQUEST, "GET /\t"},
        {HTTP_SCAN_REQUEST, "GET /#"},
        {HTTP_SCAN_REQUEST, "GET /\r"},
        {HTTP_SCAN_REQUEST, "GET / h"},
        {HTTP_SCAN_REQUEST, "GET / HTTP/1.1 "},
        {HTTP_SCAN_REQUEST, "GET / HTTP/1.1\n"},
        {HTTP_SCAN_REQUEST, "GET / HTTP/11"},
        {HTTP_SCAN_REQUEST, "GET / HTTP/1.1\rX"},
        {HTTP_SCAN_REQUEST, "GET / HTTP/1.1\r\n "},
        {HTTP_SCAN_REQUEST, "GET / HTTP/1.1\r\n:"},
        {HTTP_SCAN_REQUEST, "GET / HTTP/1.1\r\n\n"},
        {HTTP_SCAN_REQUEST, "GET / HTTP/1.1\r\nA "},
        {HTTP_SCAN_REQUEST, "GET / HTTP/1.1\r\nA\r"},
        {HTTP_SCAN_REQUEST, "GET / HTTP/1.1\r\nA: \x01"},
        {HTTP_SCAN_REQUEST, "GET / HTTP/1.1\r\nA: b\n"},
        {HTTP_SCAN_REQUEST, "GET / HTTP/1.1\r\nA: b\r\n\t"},
        {HTTP_SCAN_REQUEST, "GET / HTTP/1.1\r\nA: b\r\n\rx"},
        {HTTP_SCAN_ANSWER, "\r"},
        {HTTP_SCAN_ANSWER, "HTTP/1.1\r"},
        {HTTP_SCAN_ANSWER, "HTTP/1.1  "},
        {HTTP_SCAN_ANSWER, "HTTP/1.1 0"},
        {HTTP_SCAN_ANSWER, "HTTP/1.1 20 "},
        {HTTP_SCAN_ANSWER, "HTTP/1.1 2000"},
        {HTTP_SCAN_ANSWER, "HTTP/1.1 200 O\x01"},
        {HTTP_SCAN_TRAILERS, " "},
        {HTTP_SCAN_TRAILERS, "A: b\r\n "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t taken, length = strlen(cases[i].head);
        if (judge(cases[i].kind, cases[i].head, length - 1, &taken) != HTTP_SCANNED_MORE)
            fail_msg("refused too early: %s", cases[i].head);
        if (judge(cases[i].kind, cases[i].head, length, &taken) != HTTP_SCANNED_BAD)
            fail_msg("not refused: %s", cases[i].head);
    }
    size_t taken;
    assert_int_equal(judge(HTTP_SCAN_TRAILERS, "A: \0\r\n\r\n", 8, &taken), HTTP_SCANNED_BAD);
}

static void test_a_head_is_gathered_up_to_its_limit(void **state)
{
    (void)state;
    static const char head[] = "\r\nGET / HTTP/1.1\r\nA: b\r\n\r\n";
    size_t length = sizeof head - 1;
    for (size_t max = length - 1; max <= length; max++) {
        for (size_t piece = 1; piece <= length; piece++) {
            struct http_gather gather;
            http_gather_init(&gather, HTTP_SCAN_REQUEST);
            enum http_gathered result = HTTP_GATHERED_MORE;
            const char *whole = NULL;
            size_t whole_length = 0, taken = 0;
            for (size_t at = 0; at < length && result == HTTP_GATHERED_MORE; at += piece)
                result =
                    http_gather_feed(&gather, head + at, length - at < piece ? length - at : piece,
                                     max, &taken, &whole, &whole_length);
            assert_int_equal(result, max < length ? HTTP_GATHERED_TOO_LONG : HTTP_GATHERED_WHOLE);
            if (result == HTTP_GATHERED_WHOLE) {
                assert_int_equal(whole_length, length - 2);
                assert_memory_equal(whole, head + 2, whole_length);
                assert_true(piece < length || !gather.bytes); /* in one piece: not copied */
            }
            http_gather_deinit(&gather);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heads_end_at_their_empty_line),
        cmocka_unit_test(test_bad_heads_are_seen_at_their_bad_byte),
        cmocka_unit_test(test_a_head_is_gathered_up_to_its_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
