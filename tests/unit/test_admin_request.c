#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/admin_request.h"

/* Judged whole; and byte by byte it must not have been judged otherwise before. */
static enum admin_request judge(const char *text)
{
    size_t length = strlen(text);
    enum admin_request whole = admin_request_parse(text, length);
    for (size_t i = 0; i < length; i++) {
        char *exact = malloc(i + 1); /* for the address sanitizer to see a read past the end */
        memcpy(exact, text, i);
        enum admin_request early = admin_request_parse(exact, i);
        free(exact);
        if (early != ADMIN_REQUEST_MORE) {
            assert_int_equal(early, whole);
            break;
        }
    }
    return whole;
}

static void test_paths_are_told_apart(void **state)
{
    (void)state;
    assert_int_equal(judge("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"), ADMIN_REQUEST_METRICS);
    assert_int_equal(judge("GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\n\r\n"), ADMIN_REQUEST_METRICS);
    assert_int_equal(judge("GET /healthz HTTP/1.0\r\n\r\n"), ADMIN_REQUEST_HEALTH);
    assert_int_equal(judge("GET /readyz HTTP/1.1\r\nHost: a\r\nAccept:\t*/*\r\n\r\n"),
                     ADMIN_REQUEST_READY);
    assert_int_equal(judge("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), ADMIN_REQUEST_NOT_FOUND);
    assert_int_equal(judge("GET /metricsx HTTP/1.1\r\nHost: a\r\n\r\n"), ADMIN_REQUEST_NOT_FOUND);
    assert_int_equal(judge("GET /metric HTTP/1.1\r\nHost: a\r\n\r\n"), ADMIN_REQUEST_NOT_FOUND);
}

static void test_what_follows_the_head_is_left_alone(void **state)
{
    (void)state;
    assert_int_equal(judge("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n"),
                     ADMIN_REQUEST_HEALTH);
    assert_int_equal(judge("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n\x01\x02"),
                     ADMIN_REQUEST_HEALTH);
}

static void test_only_get_is_served(void **state)
{
    (void)state;
    assert_int_equal(judge("HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n"), ADMIN_REQUEST_BAD_METHOD);
    assert_int_equal(judge("POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\n"),
                     ADMIN_REQUEST_BAD_METHOD);
    assert_int_equal(judge("FROB /metrics HTTP/1.1\r\nHost: a\r\n\r\n"), ADMIN_REQUEST_BAD_METHOD);
}

static void test_an_unfinished_head_waits(void **state)
{
    (void)state;
    assert_int_equal(judge(""), ADMIN_REQUEST_MORE);
    assert_int_equal(judge("GET /metrics HTTP/1.1\r\nHost: a\r\n\r"), ADMIN_REQUEST_MORE);
}

static void test_bad_heads_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\r\nGET /metrics HTTP/1.1\r\n\r\n",
        "GET /metrics HTTP/1.1\nHost: a\n\n",
        "GET /metrics HTTP/1.1\rHost: a\r\n\r\n",
        "GET /metrics HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET /metrics HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
        "GET /metrics HTTP/1.1\r\nno colon\r\n\r\n",
        "GET /metrics HTTP/1.1\r\nnocolon\r\n\r\n",
        "GET /metrics HTTP/1.1\r\n: a\r\n\r\n",
        "GET /met\x01rics HTTP/1.1\r\n\r\n",
        "GET /metrics HTTP/2.0\r\n\r\n",
        "GET /metrics\r\n\r\n",
        "GET  HTTP/1.1\r\n\r\n",
        "GET /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\n",
        "GET /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET /metrics HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (judge(bad[i]) != ADMIN_REQUEST_BAD)
            fail_msg("not refused: %s", bad[i]);
}

static void test_a_head_is_bounded(void **state)
{
    (void)state;
    char head[ADMIN_REQUEST_HEAD_MAX + 64];
    memset(head, 'a', sizeof head);
    memcpy(head, "GET /metrics HTTP/1.1\r\nX: ", 26);
    assert_int_equal(admin_request_parse(head, ADMIN_REQUEST_HEAD_MAX - 1), ADMIN_REQUEST_MORE);
    assert_int_equal(admin_request_parse(head, ADMIN_REQUEST_HEAD_MAX), ADMIN_REQUEST_TOO_LONG);
    assert_int_equal(admin_request_parse(head, sizeof head), ADMIN_REQUEST_TOO_LONG);
    memcpy(head + ADMIN_REQUEST_HEAD_MAX - 4, "\r\n\r\n", 4);
    assert_int_equal(admin_request_parse(head, ADMIN_REQUEST_HEAD_MAX), ADMIN_REQUEST_METRICS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths_are_told_apart),
        cmocka_unit_test(test_what_follows_the_head_is_left_alone),
        cmocka_unit_test(test_only_get_is_served),
        cmocka_unit_test(test_an_unfinished_head_waits),
        cmocka_unit_test(test_bad_heads_are_refused),
        cmocka_unit_test(test_a_head_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
