#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "edge/http_rules.h"
#include "edge/http_write.h"

/* Answers are covered case by case in tests/smuggling/answers.txt; requests in its other files. */

static void write_request(const char *bytes, const struct http_forward *forward, char *text,
                          size_t size)
{
    struct http_head head;
    struct http_buffer buffer = {0};
    assert_int_equal(http_head_parse_request(bytes, strlen(bytes), &head), 0);
    assert_int_equal(http_rules_request(&head), 0);
    http_write_request(&head, forward, NULL, &buffer);
    assert_false(buffer.failed);
    assert_true(buffer.length < size);
    memcpy(text, buffer.bytes, buffer.length);
    text[buffer.length] = 0;
    http_buffer_deinit(&buffer);
}

static void test_forwarding_headers(void **state)
{
    (void)state;
    static const struct {
        const char *visitor, *came;
        bool is_trusted;
        const char *written;
    } cases[] = {
        {"192.0.2.1", "", false,
         "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Host: a\r\nX-Forwarded-Proto: https\r\n"
         "X-Real-IP: 192.0.2.1\r\nForwarded: for=192.0.2.1;host=a;proto=https\r\n"},
        {"2001:db8::1", "X-Forwarded-For: forged\r\nForwarded: for=forged\r\n", false,
         "X-Forwarded-For: 2001:db8::1\r\nX-Forwarded-Host: a\r\nX-Forwarded-Proto: https\r\n"
         "X-Real-IP: 2001:db8::1\r\nForwarded: for=\"[2001:db8::1]\";host=a;proto=https\r\n"},
        {"192.0.2.1",
         "X-Real-IP: 192.0.2.9\r\nForwarded: for=192.0.2.9\r\nX-Forwarded-Host: b\r\n"
         "X-Forwarded-For: 192.0.2.9\r\nX-Forwarded-Proto: http\r\nX_Real_IP: forged\r\n",
         true,
         "X-Forwarded-For: 192.0.2.9, 192.0.2.1\r\nX-Forwarded-Host: b\r\n"
         "X-Forwarded-Proto: http\r\nX-Real-IP: 192.0.2.9\r\n"
         "Forwarded: for=192.0.2.9, for=192.0.2.1;host=a;proto=https\r\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char request[1024], want[1024], got[1024];
        snprintf(request, sizeof request, "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", cases[i].came);
        snprintf(want, sizeof want, "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", cases[i].written);
        struct http_forward forward = {
            .visitor = cases[i].visitor, .proto = "https", .is_trusted = cases[i].is_trusted};
        write_request(request, &forward, got, sizeof got);
        assert_string_equal(got, want);
    }
}

static void test_without_a_host_none_is_told(void **state)
{
    (void)state;
    char got[512];
    struct http_forward forward = {
        .visitor = "192.0.2.1", .proto = "http", .host_header = "localhost:3000"};
    write_request("GET / HTTP/1.0\r\n\r\n", &forward, got, sizeof got);
    assert_string_equal(got, "GET / HTTP/1.1\r\nHost: localhost:3000\r\n"
                             "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\n"
                             "X-Real-IP: 192.0.2.1\r\nForwarded: for=192.0.2.1;proto=http\r\n\r\n");
}

static void test_long_heads_grow_the_buffer(void **state)
{
    (void)state;
    struct http_buffer buffer = {0};
    for (int i = 0; i < 10000; i++)
        http_buffer_number(&buffer, 7);
    assert_int_equal(buffer.length, 10000);
    for (size_t i = 0; i < buffer.length; i++)
        assert_int_equal(buffer.bytes[i], '7');
    http_buffer_deinit(&buffer);
    assert_int_equal(buffer.length, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forwarding_headers),
        cmocka_unit_test(test_without_a_host_none_is_told),
        cmocka_unit_test(test_long_heads_grow_the_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
