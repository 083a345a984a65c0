/* Requests to the API, whole and in pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/api_reader.h"

#define HOST "Host: a\r\n"

/* What was read of all the bytes, as a text: what each request was, or the refusal. */
static char *read_all(const char *bytes, size_t length, size_t piece)
{
    static char text[65536];
    struct api_reader reader;
    size_t at = 0, used = 0;
    text[0] = '\0';
    api_reader_init(&reader);
    for (size_t end = 0; end < length || at < end;) {
        size_t taken;
        if (at == end)
            end = length - end < piece ? length : end + piece;
        enum api_read result = api_reader_feed(&reader, bytes + at, end - at, &taken);
        const struct api_request *request = &reader.request;
        at += taken;
        if (result == API_READ_CONTINUE)
            used += (size_t)snprintf(text + used, sizeof text - used, "continue ");
        if (result == API_READ_WHOLE) {
            used += (size_t)snprintf(text + used, sizeof text - used, "[%s %s?%s %s|%s|%s|%s%s%s] ",
                                     request->method, request->path, request->query, request->token,
                                     request->content_type, request->if_none_match, request->body,
                                     reader.closes ? " closes" : "", reader.is_head ? " head" : "");
            assert_int_equal(strlen(request->body), request->body_length);
            api_reader_next(&reader);
        }
        if (result == API_READ_REFUSED) {
            snprintf(text + used, sizeof text - used, "%d %s", reader.status, reader.code);
            break;
        }
    }
    api_reader_deinit(&reader);
    return text;
}

static void assert_read(const char *bytes, const char *expected)
{
    size_t length = strlen(bytes);
    for (size_t piece = 1; piece <= length; piece = piece < 8 ? piece + 1 : piece * 2)
        assert_string_equal(read_all(bytes, length, piece), expected);
    assert_string_equal(read_all(bytes, length, length), expected);
}

static void test_requests_one_after_the_other(void **state)
{
    assert_read("GET /a/b?c=d&e HTTP/1.1\r\n" HOST
                "x-access-token: secret\r\nIf-None-Match: \"1\"\r\n"
                "\r\nPOST /login HTTP/1.1\r\n" HOST "Content-Type: application/json\r\n"
                "Content-Length: 2\r\n\r\n{}HEAD / HTTP/1.0\r\n" HOST "\r\n",
                "[GET /a/b?c=d&e secret||\"1\"|] [POST /login? |application/json||{}] "
                "[HEAD /? ||| closes head] ");
}

static void test_chunks(void **state)
{
    assert_read("PUT /x HTTP/1.1\r\n" HOST "Content-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n"
                "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n",
                "[PUT /x? |a/b||abcde] [GET /? |||] ");
}

static void test_who_waits_for_a_word(void **state)
{
    assert_read("POST /x HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 1\r\n\r\nz",
                "continue [POST /x? |||z] ");
}

static void test_tokens(void **state)
{
    assert_read("GET / HTTP/1.1\r\n" HOST "Authorization: bearer  abc \r\n\r\n",
                "[GET /? abc|||] ");
    assert_read("GET / HTTP/1.1\r\n" HOST "Authorization: Basic abc\r\n\r\n", "[GET /? |||] ");
    assert_read("GET / HTTP/1.1\r\n" HOST "Authorization: Bearer\r\n\r\n", "[GET /? |||] ");
    assert_read("GET / HTTP/1.1\r\n" HOST "Authorization: Bearer a\r\nX-Access-Token: b\r\n\r\n",
                "[GET /? b|||] ");
}

static void test_what_two_readers_may_see_differently(void **state)
{
    assert_read("GET / HTTP/1.1\r\n" HOST "x-access-token: a\r\nx-access-token: b\r\n\r\n",
                "400 BAD_REQUEST");
    assert_read("POST / HTTP/1.1\r\n" HOST
                "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
                "400 BAD_REQUEST");
    assert_read("GET / HTTP/1.1\r\nA : b\r\n" HOST "\r\n", "400 BAD_REQUEST");
    assert_read("GET / HTTP/1.1\r\n\r\n", "400 BAD_REQUEST");
    assert_read("GET / HTTP/1.1\nHost: a\n\n", "400 BAD_REQUEST");
    assert_read("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nx\r\n",
                "400 BAD_REQUEST");
}

static void test_refusals(void **state)
{
    assert_read("POST / HTTP/1.1\r\n" HOST "Content-Type: application/json\r\n\r\n",
                "411 LENGTH_REQUIRED");
    assert_read("POST / HTTP/1.1\r\n" HOST "Content-Length: 65537\r\n\r\n", "413 BODY_TOO_LARGE");
    assert_read("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", "405 METHOD_NOT_ALLOWED");
    assert_read("GET / HTTP/1.2\r\n" HOST "\r\n", "505 VERSION_NOT_SUPPORTED");
    assert_read("POST / HTTP/1.1\r\n" HOST "Expect: magic\r\nContent-Length: 1\r\n\r\n",
                "417 EXPECTATION_FAILED");
}

static void test_a_head_beyond_its_limit(void **state)
{
    static char bytes[2 * API_HEAD_MAX];
    size_t length = (size_t)sprintf(bytes, "GET / HTTP/1.1\r\n" HOST "A: ");
    memset(bytes + length, 'a', sizeof bytes - length);
    assert_string_equal(read_all(bytes, sizeof bytes, sizeof bytes), "431 HEAD_TOO_LARGE");
    assert_string_equal(read_all(bytes, sizeof bytes, 1000), "431 HEAD_TOO_LARGE");
}

static void test_chunks_beyond_the_limit(void **state)
{
    static char bytes[API_BODY_MAX + 4096];
    size_t length = (size_t)sprintf(
        bytes, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n%x\r\n",
        API_BODY_MAX + 1);
    memset(bytes + length, 'a', sizeof bytes - length);
    assert_string_equal(read_all(bytes, sizeof bytes, sizeof bytes), "413 BODY_TOO_LARGE");
    assert_string_equal(read_all(bytes, sizeof bytes, 777), "413 BODY_TOO_LARGE");
}

static void test_as_much_as_may_be(void **state)
{
    static char bytes[API_BODY_MAX + 512];
    struct api_reader reader;
    size_t taken, length = (size_t)sprintf(
                      bytes, "POST / HTTP/1.1\r\n" HOST "Content-Length: %d\r\n\r\n", API_BODY_MAX);
    memset(bytes + length, 'a', API_BODY_MAX);
    api_reader_init(&reader);
    assert_int_equal(api_reader_feed(&reader, bytes, length + API_BODY_MAX, &taken),
                     API_READ_WHOLE);
    assert_int_equal(taken, length + API_BODY_MAX);
    assert_int_equal(reader.request.body_length, API_BODY_MAX);
    api_reader_deinit(&reader);
}

/* Does the client take gzip, by these fields? */
static bool takes_gzip(const char *fields)
{
    char bytes[512];
    struct api_reader reader;
    size_t taken;
    int length = snprintf(bytes, sizeof bytes, "GET / HTTP/1.1\r\n" HOST "%s\r\n", fields);
    api_reader_init(&reader);
    assert_int_equal(api_reader_feed(&reader, bytes, (size_t)length, &taken), API_READ_WHOLE);
    bool takes = reader.request.takes_gzip;
    api_reader_next(&reader);
    assert_false(reader.request.takes_gzip);
    api_reader_deinit(&reader);
    return takes;
}

static void test_who_takes_gzip(void **state)
{
    assert_true(takes_gzip("Accept-Encoding: gzip, deflate, br\r\n"));
    assert_true(takes_gzip("accept-encoding: br;q=1.0 , GZIP ; q=0.001\r\n"));
    assert_true(takes_gzip("Accept-Encoding: x-gzip\r\n"));
    assert_true(takes_gzip("Accept-Encoding: br\r\nAccept-Encoding: gzip\r\n"));
    assert_true(takes_gzip("Accept-Encoding: *\r\n"));
    assert_true(takes_gzip("Accept-Encoding: gzip, *;q=0\r\n"));
}

static void test_who_does_not_take_gzip(void **state)
{
    assert_false(takes_gzip(""));
    assert_false(takes_gzip("Accept-Encoding:\r\n"));
    assert_false(takes_gzip("Accept-Encoding: identity, br\r\n"));
    assert_false(takes_gzip("Accept-Encoding: gzip;q=0\r\n"));
    assert_false(takes_gzip("Accept-Encoding: gzip;q=0.000\r\n"));
    assert_false(takes_gzip("Accept-Encoding: *;q=0\r\n"));
    assert_false(takes_gzip("Accept-Encoding: *, gzip;q=0\r\n"));
    assert_false(takes_gzip("Accept-Encoding: gzipped, agzip\r\n"));
    assert_false(takes_gzip("Accept-Encoding: gzip;\r\n"));
    assert_false(takes_gzip("Accept-Encoding: gzip;q=\r\n"));
    assert_false(takes_gzip("Accept-Encoding: gzip;q=1x\r\n"));
    assert_false(takes_gzip("Accept-Encoding: gzip;level=9\r\n"));
    assert_false(takes_gzip("X-Accept-Encoding: gzip\r\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests_one_after_the_other),
        cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_who_waits_for_a_word),
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_what_two_readers_may_see_differently),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_a_head_beyond_its_limit),
        cmocka_unit_test(test_chunks_beyond_the_limit),
        cmocka_unit_test(test_as_much_as_may_be),
        cmocka_unit_test(test_who_takes_gzip),
        cmocka_unit_test(test_who_does_not_take_gzip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
