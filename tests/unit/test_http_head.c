#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "edge/http_rules.h"

static int read_request(const char *bytes, struct http_head *head)
{
    int status = http_head_parse_request(bytes, strlen(bytes), head);
    return status ? status : http_rules_request(head);
}

static int read_answer(const char *bytes, bool to_head, struct http_head *head)
{
    int status = http_head_parse_answer(bytes, strlen(bytes), head);
    return status ? status : http_rules_answer(head, to_head);
}

static void test_a_request_is_read(void **state)
{
    (void)state;
    struct http_head head;
    assert_int_equal(read_request("POST /a?b HTTP/1.1\r\nHost: c:8\r\nAccept:  x \r\nEmpty:\r\n"
                                  "Content-Length: 12\r\nConnection: close, Secret\r\n"
                                  "secret: s\r\nTE: trailers\r\nExpect: 100-continue\r\n\r\n",
                                  &head),
                     0);
    assert_true(http_text_is(head.method, "POST"));
    assert_true(http_text_is(head.target, "/a?b"));
    assert_true(http_text_is(head.version, "HTTP/1.1"));
    assert_true(http_text_is(head.authority, "c:8"));
    assert_true(http_text_is(http_head_value(&head, HTTP_NAME_ACCEPT), "x"));
    assert_int_equal(head.count, 8);
    assert_int_equal(head.fields[2].value.length, 0);
    assert_int_equal(head.framing, HTTP_FRAMING_LENGTH);
    assert_int_equal(head.length, 12);
    assert_true(head.closes && head.expects && head.takes_trailers && !head.is_upgrade);
    assert_true(head.fields[4].is_hop && head.fields[5].is_hop && !head.fields[1].is_hop);
}

static void test_who_closes(void **state)
{
    (void)state;
    static const struct {
        const char *request;
        bool closes;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: CLOSE\r\n\r\n", true},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: x\r\nConnection: y , close\r\n\r\n", true},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: closed\r\n\r\n", false},
        {"GET / HTTP/1.0\r\n\r\n", true},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct http_head head;
        assert_int_equal(read_request(cases[i].request, &head), 0);
        assert_int_equal(head.closes, cases[i].closes);
    }
}

static void test_upgrades_are_told_without_h2c(void **state)
{
    (void)state;
    struct http_head head;
    struct http_buffer buffer = {0};
    assert_int_equal(read_request("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n"
                                  "Upgrade: H2C, a/1\r\nUpgrade: h2c/2,websocket\r\n\r\n",
                                  &head),
                     0);
    assert_true(head.is_upgrade);
    http_rules_upgrades(&head, &buffer);
    assert_true(http_text_is((struct http_text){buffer.bytes, buffer.length}, "a/1, websocket"));
    http_buffer_deinit(&buffer);

    static const struct {
        const char *answer;
        bool is_asked;
    } cases[] = {
        {"HTTP/1.1 101 x\r\nUpgrade: WebSocket\r\n\r\n", true},
        {"HTTP/1.1 101 x\r\nUpgrade: a/1, websocket\r\n\r\n", true},
        {"HTTP/1.1 101 x\r\nUpgrade: a/1\r\nUpgrade: b\r\n\r\n", false},
        {"HTTP/1.1 101 x\r\nUpgrade: ,\r\n\r\n", false},
        {"HTTP/1.1 101 x\r\n\r\n", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(read_answer(cases[i].answer, false, &head), 0);
        assert_int_equal(http_rules_is_asked(&head, http_text_of("a/1, websocket")),
                         cases[i].is_asked);
    }
}

static void test_how_answers_end(void **state)
{
    (void)state;
    static const struct {
        const char *answer;
        bool to_head;
        int status;
        enum http_framing framing;
        bool is_odd;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\n\r\n", false, 0, HTTP_FRAMING_UNTIL_CLOSE, false},
        {"HTTP/1.1 200 OK\r\n\r\n", true, 0, HTTP_FRAMING_NONE, false},
        {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", false, 0, HTTP_FRAMING_LENGTH, false},
        {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", true, 0, HTTP_FRAMING_NONE, false},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n", false, 0, HTTP_FRAMING_CHUNKED,
         false},
        {"HTTP/1.1 204 x\r\nContent-Length: 3\r\n\r\n", false, 0, HTTP_FRAMING_NONE, true},
        {"HTTP/1.1 304 x\r\nContent-Length: 3\r\n\r\n", false, 0, HTTP_FRAMING_NONE, false},
        {"HTTP/1.1 100 x\r\n\r\n", false, 0, HTTP_FRAMING_NONE, false},
        {"HTTP/1.1 100 x\r\nContent-Length: 3\r\n\r\n", false, 502, HTTP_FRAMING_NONE, true},
        {"HTTP/1.2 200 x\r\n\r\n", false, 502, HTTP_FRAMING_NONE, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct http_head head;
        assert_int_equal(read_answer(cases[i].answer, cases[i].to_head, &head), cases[i].status);
        if (cases[i].status)
            continue;
        assert_int_equal(head.framing, cases[i].framing);
        assert_int_equal(head.is_odd, cases[i].is_odd);
    }
}

static void test_authorities_come_apart(void **state)
{
    (void)state;
    static const struct {
        const char *authority, *host, *port; /* host NULL: malformed */
    } cases[] = {
        {"a", "a", ""},
        {"a:80", "a", "80"},
        {"a:", "a", ""},
        {"[::1]:8", "[::1]", "8"},
        {"[::1]", "[::1]", ""},
        {"1.2.3.4", "1.2.3.4", ""},
        {"a_b.c-d.", "a_b.c-d.", ""},
        {"", NULL, NULL},
        {":80", NULL, NULL},
        {"[]", NULL, NULL},
        {"[::1", NULL, NULL},
        {"[::1]x", NULL, NULL},
        {"[g]", NULL, NULL},
        {"a:99999", NULL, NULL},
        {"a:b", NULL, NULL},
        {"a/b", NULL, NULL},
        {"u@a", NULL, NULL},
        {".", NULL, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct http_text host, port;
        bool is_good = http_rules_authority(http_text_of(cases[i].authority), &host, &port);
        assert_int_equal(is_good, cases[i].host != NULL);
        if (is_good)
            assert_true(http_text_is(host, cases[i].host) && http_text_is(port, cases[i].port));
    }
}

static void test_reasons_are_known(void **state)
{
    (void)state;
    assert_string_equal(http_head_reason(502), "Bad Gateway");
    assert_string_equal(http_head_reason(599), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_request_is_read),
        cmocka_unit_test(test_who_closes),
        cmocka_unit_test(test_upgrades_are_told_without_h2c),
        cmocka_unit_test(test_how_answers_end),
        cmocka_unit_test(test_authorities_come_apart),
        cmocka_unit_test(test_reasons_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
