#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http_rig.h"

#define TEARINGS  5
#define GET       "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define OK        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
#define WEBSOCKET "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
#define SWITCH                                                                                     \
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

static const struct http_answer page = {
    .status = 503,
    .head = "Retry-After: 5\r\n",
    .content_type = "text/plain",
    .body = "later\n",
    .body_length = 6,
};

static bool has(const struct rig_bytes *bytes, const char *text)
{
    return strstr(bytes->at, text) != NULL;
}

static int count(const struct rig_bytes *bytes, const char *text)
{
    int found = 0;
    for (const char *at = bytes->at; (at = strstr(at, text)); at++)
        found++;
    return found;
}

static void forget_output(struct rig *rig)
{
    rig->service.length = rig->visitor.length = 0;
    rig->service.at[0] = rig->visitor.at[0] = 0;
}

#define STATE(rig, state) assert_int_equal(http_visit_state((rig)->visit), HTTP_VISIT_##state)

static void test_an_exchange_is_told(void **state)
{
    (void)state;
    for (unsigned tearing = 0; tearing < TEARINGS; tearing++) {
        struct rig rig = {0};
        rig_open(&rig);
        STATE(&rig, IDLE);
        rig_visitor_says(&rig,
                         "POST /a/b?c=d HTTP/1.1\r\nHost: Shy.Example.:8080\r\n"
                         "Accept: text/html\r\nReferer: http://x/\r\nUser-Agent: me\r\n"
                         "Content-Length: 5\r\n\r\nhello",
                         tearing);
        STATE(&rig, EXCHANGE);
        assert_int_equal(rig.requests, 1);
        assert_string_equal(rig.method, "POST");
        assert_string_equal(rig.target, "/a/b?c=d");
        assert_string_equal(rig.path, "/a/b");
        assert_string_equal(rig.host, "shy.example");
        assert_string_equal(rig.accept, "text/html");
        assert_string_equal(rig.expect, "");
        assert_true(rig.has_body && !rig.is_http10 && !rig.is_upgrade);
        assert_int_equal(rig.dones, 0);
        rig_service_says(&rig, "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nhi", tearing);
        STATE(&rig, IDLE);
        assert_int_equal(rig.answers, 1);
        assert_int_equal(rig.dones, 1);
        assert_int_equal(rig.status, 201);
        assert_int_equal(rig.bytes_in, 5);
        assert_int_equal(rig.bytes_out, 2);
        assert_true(rig.is_whole && !rig.is_own && rig.keeps_service);
        assert_string_equal(rig.record_method, "POST");
        assert_string_equal(rig.record_target, "/a/b?c=d");
        assert_string_equal(rig.version, "HTTP/1.1");
        assert_string_equal(rig.referer, "http://x/");
        assert_string_equal(rig.user_agent, "me");
        assert_string_equal(rig.visitor.at, "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nhi");
        rig_close(&rig);
    }
}

static void test_the_host_is_told_in_one_form(void **state)
{
    (void)state;
    static const struct {
        const char *request, *host;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: A.Example\r\n\r\n", "a.example"},
        {"GET / HTTP/1.1\r\nHost: a.example.\r\n\r\n", "a.example"},
        {"GET / HTTP/1.1\r\nHost: a.example:\r\n\r\n", "a.example"},
        {"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "[::1]"},
        {"GET http://B.example:80/ HTTP/1.1\r\nHost: b.example\r\n\r\n", "b.example"},
        {"GET http://c/ HTTP/1.0\r\n\r\n", "c"},
        {"GET / HTTP/1.0\r\n\r\n", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig rig = {0};
        rig_open(&rig);
        rig_visitor_says(&rig, cases[i].request, RIG_WHOLE);
        assert_int_equal(rig.requests, 1);
        assert_string_equal(rig.host, cases[i].host);
        rig_close(&rig);
    }
}

static void test_pipelined_requests_wait_for_their_turn(void **state)
{
    (void)state;
    for (unsigned tearing = 0; tearing < TEARINGS; tearing++) {
        struct rig rig = {0};
        rig_open(&rig);
        rig_visitor_says(
            &rig, "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: b\r\n\r\n", tearing);
        assert_int_equal(rig.requests, 1);
        assert_false(http_visit_wants_visitor(rig.visit));
        assert_false(has(&rig.service, "/2"));
        rig_service_says(&rig, OK, tearing);
        assert_int_equal(rig.requests, 2);
        assert_string_equal(rig.host, "b");
        assert_true(has(&rig.service, "GET /2 HTTP/1.1\r\n"));
        assert_true(http_visit_wants_visitor(rig.visit));
        rig_service_says(&rig, OK, tearing);
        assert_string_equal(rig.visitor.at, OK OK);
        STATE(&rig, IDLE);
        rig_close(&rig);
    }
}

static void answer_at_once(struct rig *rig, const struct http_request *request)
{
    http_visit_answer(rig->visit, &page);
    assert_string_equal(request->host, "a"); /* borrowed until on_request returns */
}

static void test_a_flood_of_requests_piles_up_no_answers(void **state)
{
    (void)state;
    struct rig rig = {.on_request = answer_at_once, .is_stuck = true};
    struct rig_bytes flood = {0};
    while (flood.length + strlen(GET) <= 65536)
        rig_append(&flood, GET, strlen(GET));
    rig_open(&rig);
    rig_feed(&rig, false, flood.at, flood.length, RIG_WHOLE);
    assert_true(http_visit_held(rig.visit) < 65536 + 16384 + 8192);
    rig.is_stuck = false;
    rig_on_visitor_output(&rig);
    assert_int_equal(rig.requests, flood.length / strlen(GET));
    assert_int_equal(count(&rig.visitor, "HTTP/1.1 503 "), rig.requests);
    STATE(&rig, IDLE);
    free(flood.at);
    rig_close(&rig);
}

static void test_back_pressure_stops_the_other_side(void **state)
{
    (void)state;
    static char bulk[65536];
    struct rig rig = {0};
    rig_open(&rig);
    rig_visitor_says(&rig, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n",
                     RIG_WHOLE);
    rig.is_stuck = true;
    assert_true(http_visit_wants_visitor(rig.visit));
    rig_feed(&rig, false, bulk, sizeof bulk, RIG_WHOLE);
    assert_false(http_visit_wants_visitor(rig.visit));
    assert_true(http_visit_wants_service(rig.visit));
    rig_service_says(&rig, "HTTP/1.1 200 OK\r\n\r\n", RIG_WHOLE);
    rig_feed(&rig, true, bulk, sizeof bulk, RIG_WHOLE);
    assert_false(http_visit_wants_service(rig.visit));
    rig.is_stuck = false;
    rig_on_service_output(&rig);
    rig_on_visitor_output(&rig);
    assert_true(http_visit_wants_visitor(rig.visit));
    assert_true(http_visit_wants_service(rig.visit));
    rig_close(&rig);
}

static void test_a_held_body_waits_and_its_head_can_be_sent_again(void **state)
{
    (void)state;
    struct rig rig = {.forward.hold_body = true};
    rig_open(&rig);
    rig_visitor_says(&rig, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
                     RIG_WHOLE);
    assert_false(has(&rig.service, "hello"));
    assert_true(http_visit_can_retry(rig.visit));
    char *first = strdup(rig.service.at);
    forget_output(&rig);
    http_visit_retry(rig.visit);
    assert_string_equal(rig.service.at, first);
    http_visit_release_body(rig.visit);
    assert_true(has(&rig.service, "\r\n\r\nhello"));
    assert_false(http_visit_can_retry(rig.visit));
    rig_service_says(&rig, OK, RIG_WHOLE);
    assert_true(rig.is_whole);
    free(first);
    rig_close(&rig);
}

static void test_a_retry_drops_what_was_left(void **state)
{
    (void)state;
    struct rig rig = {.is_stuck = true};
    rig_open(&rig);
    rig_visitor_says(&rig, GET, RIG_WHOLE);
    size_t length;
    http_visit_service_output(rig.visit, &length);
    http_visit_drop_service_output(rig.visit, 3);
    assert_true(http_visit_can_retry(rig.visit));
    rig.is_stuck = false;
    http_visit_retry(rig.visit);
    assert_int_equal(rig.service.length, length);
    assert_true(has(&rig.service, "GET / HTTP/1.1\r\n"));
    rig_service_says(&rig, "H", RIG_WHOLE);
    assert_false(http_visit_can_retry(rig.visit));
    rig_close(&rig);
}

static void test_our_own_answer_keeps_the_connection_if_it_can(void **state)
{
    (void)state;
    static const struct {
        const char *request;
        const char *answer;
        enum http_visit_state then;
    } cases[] = {
        {GET,
         "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Type: text/plain\r\n"
         "Content-Length: 6\r\n\r\nlater\n",
         HTTP_VISIT_IDLE},
        {"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
         "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Type: text/plain\r\n"
         "Content-Length: 6\r\n\r\n",
         HTTP_VISIT_IDLE},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n",
         "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Type: text/plain\r\n"
         "Content-Length: 6\r\nConnection: close\r\n\r\nlater\n",
         HTTP_VISIT_CLOSING},
        {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
         "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Type: text/plain\r\n"
         "Content-Length: 6\r\nConnection: keep-alive\r\n\r\nlater\n",
         HTTP_VISIT_IDLE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int routed = 0; routed < 2; routed++) {
            struct rig rig = {.waits = !routed};
            rig_open(&rig);
            rig_visitor_says(&rig, cases[i].request, RIG_WHOLE);
            http_visit_answer(rig.visit, &page);
            assert_string_equal(rig.visitor.at, cases[i].answer);
            assert_int_equal(http_visit_state(rig.visit), cases[i].then);
            assert_true(rig.is_own && !rig.keeps_service);
            assert_int_equal(rig.status, 503);
            rig_close(&rig);
        }
    }
}

static void test_our_own_answers_have_a_date(void **state)
{
    (void)state;
    static const char *const requests[] = {GET, "HEAD / HTTP/1.0\r\n\r\n", "nonsense\r\n\r\n", ""};
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        struct rig rig = {.waits = true, .now = "Sun, 06 Nov 1994 08:49:37 GMT"};
        rig_open(&rig);
        rig_visitor_says(&rig, requests[i], RIG_WHOLE);
        if (http_visit_state(rig.visit) == HTTP_VISIT_ROUTING)
            http_visit_answer(rig.visit, &page);
        else if (http_visit_state(rig.visit) == HTTP_VISIT_IDLE)
            http_visit_refuse(rig.visit, &page);
        assert_int_equal(count(&rig.visitor, "\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"), 1);
        rig_close(&rig);
    }
    /* A service's answer has its own, or none. */
    struct rig rig = {.now = "Sun, 06 Nov 1994 08:49:37 GMT"};
    rig_open(&rig);
    rig_visitor_says(&rig, GET, RIG_WHOLE);
    rig_service_says(&rig, OK, RIG_WHOLE);
    assert_false(has(&rig.visitor, "Date:"));
    rig_close(&rig);
}

static void test_a_refusal_needs_no_request(void **state)
{
    (void)state;
    static const char *const begun[] = {"", "GET / HT"};
    for (size_t i = 0; i < 2; i++) {
        struct rig rig = {0};
        rig_open(&rig);
        rig_visitor_says(&rig, begun[i], RIG_WHOLE);
        http_visit_refuse(rig.visit, &page);
        assert_true(has(&rig.visitor, "Connection: close\r\n"));
        assert_int_equal(rig.dones, 1);
        assert_string_equal(rig.record_method, "");
        STATE(&rig, CLOSING);
        rig_close(&rig);
    }
}

static void test_a_refused_head_stands_in_the_record(void **state)
{
    (void)state;
    struct rig rig = {0};
    rig_open(&rig);
    rig_visitor_says(&rig, GET, RIG_WHOLE);
    rig_service_says(&rig, OK, RIG_WHOLE);
    rig_visitor_says(&rig, "HEAD /x HTTP/1.1\r\nUser-Agent: me\r\n\r\n" GET, RIG_WHOLE);
    assert_int_equal(rig.status, 400);
    assert_true(rig.is_own && !rig.is_whole);
    assert_string_equal(rig.record_target, "/x");
    assert_string_equal(rig.user_agent, "me");
    assert_int_equal(rig.bytes_out, 0); /* HEAD */
    assert_int_equal(rig.requests, 1);
    assert_false(http_visit_wants_visitor(rig.visit));
    STATE(&rig, CLOSING);
    rig_close(&rig);
}

static void test_an_early_answer_ends_the_connection(void **state)
{
    (void)state;
    struct rig rig = {0};
    rig_open(&rig);
    rig_visitor_says(&rig, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\nhello",
                     RIG_WHOLE);
    rig_service_says(&rig, "HTTP/1.1 413 Payload Too Large\r\nContent-Length: 2\r\n\r\nno",
                     RIG_WHOLE);
    assert_string_equal(rig.visitor.at, "HTTP/1.1 413 Payload Too Large\r\nContent-Length: 2\r\n"
                                        "Connection: close\r\n\r\nno");
    assert_true(!rig.is_whole && !rig.keeps_service);
    assert_false(http_visit_is_broken(rig.visit));
    STATE(&rig, CLOSING);
    rig_close(&rig);
}

static void test_a_body_may_go_on_during_the_answer(void **state)
{
    (void)state;
    struct rig rig = {0};
    rig_open(&rig);
    rig_visitor_says(&rig, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello",
                     RIG_WHOLE);
    rig_service_says(&rig, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", RIG_WHOLE);
    rig_visitor_says(&rig, "world", RIG_WHOLE);
    assert_true(has(&rig.service, "helloworld"));
    rig_service_says(&rig, "world", RIG_WHOLE);
    assert_true(rig.is_whole && rig.keeps_service);
    STATE(&rig, CLOSING); /* as its head said */
    rig_close(&rig);
}

static void test_a_service_that_lacks_part_of_the_request_is_not_kept(void **state)
{
    (void)state;
    struct rig rig = {.is_stuck = true};
    rig_open(&rig);
    rig_visitor_says(&rig, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
                     RIG_WHOLE);
    rig_service_says(&rig, OK, RIG_WHOLE);
    assert_true(rig.is_whole && !rig.keeps_service);
    size_t length;
    http_visit_service_output(rig.visit, &length);
    assert_int_equal(length, 0);
    rig_close(&rig);
}

static void test_bytes_beyond_an_answer_spoil_its_connection(void **state)
{
    (void)state;
    struct rig rig = {0};
    rig_open(&rig);
    rig_visitor_says(&rig, GET, RIG_WHOLE);
    rig_service_says(&rig, OK "HTTP/1.1 200 OK\r\n", RIG_WHOLE);
    assert_true(rig.is_whole && !rig.keeps_service);
    assert_string_equal(rig.visitor.at, OK);
    rig_service_says(&rig, OK, RIG_WHOLE);
    assert_string_equal(rig.visitor.at, OK);
    STATE(&rig, IDLE);
    rig_close(&rig);
}

static void test_expect_is_asked_of_the_service(void **state)
{
    (void)state;
    struct rig rig = {0};
    rig_open(&rig);
    rig_visitor_says(
        &rig, "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n",
        RIG_WHOLE);
    assert_string_equal(rig.expect, "100-continue");
    assert_true(has(&rig.service, "Expect: 100-Continue\r\n"));
    rig_service_says(&rig, "HTTP/1.1 100 Continue\r\n\r\n", RIG_WHOLE);
    assert_string_equal(rig.visitor.at, "HTTP/1.1 100 Continue\r\n\r\n");
    assert_int_equal(rig.answers, 0);
    rig_visitor_says(&rig, "ok", RIG_WHOLE);
    rig_service_says(&rig, OK, RIG_WHOLE);
    assert_string_equal(rig.visitor.at, "HTTP/1.1 100 Continue\r\n\r\n" OK);
    STATE(&rig, IDLE);
    rig_close(&rig);
}

static void test_an_upgrade_makes_it_raw(void **state)
{
    (void)state;
    for (unsigned tearing = 0; tearing < TEARINGS; tearing++) {
        struct rig rig = {0};
        rig_open(&rig);
        rig_visitor_says(&rig, WEBSOCKET, tearing);
        assert_true(rig.is_upgrade);
        rig_visitor_says(&rig, "early", tearing);
        assert_false(has(&rig.service, "early")); /* held until the service has agreed */
        rig_service_says(&rig, SWITCH "frames", tearing);
        STATE(&rig, RAW);
        assert_int_equal(rig.answers, 1);
        assert_int_equal(rig.dones, 0);
        assert_true(has(&rig.service, "\r\n\r\nearly"));
        assert_true(has(&rig.visitor, "\r\n\r\nframes"));
        rig_visitor_says(&rig, GET, tearing);
        assert_true(has(&rig.service, "early" GET));
        assert_true(http_visit_is_raw(rig.visit));
        http_visit_count_raw(rig.visit, 100, 1000);
        http_visit_visitor_ended(rig.visit);
        assert_int_equal(rig.service_ends, 1);
        STATE(&rig, RAW);
        rig_service_says(&rig, "bye", tearing);
        assert_false(http_visit_visitor_ends(rig.visit));
        http_visit_service_ended(rig.visit);
        STATE(&rig, CLOSING);
        assert_int_equal(rig.dones, 1);
        assert_int_equal(rig.status, 101);
        assert_int_equal(rig.bytes_in, 5 + strlen(GET) + 100);
        assert_int_equal(rig.bytes_out, 9 + 1000);
        assert_string_equal(rig.record_target, "/ws");
        assert_true(rig.is_whole && !http_visit_is_broken(rig.visit));
        rig_close(&rig);
    }
}

static void test_raw_half_closes_after_what_waits(void **state)
{
    (void)state;
    struct rig rig = {0};
    rig_open(&rig);
    rig_visitor_says(&rig, WEBSOCKET, RIG_WHOLE);
    rig_service_says(&rig, SWITCH, RIG_WHOLE);
    http_visit_service_ended(rig.visit);
    assert_true(http_visit_visitor_ends(rig.visit));
    STATE(&rig, RAW);
    rig.is_stuck = true;
    rig_visitor_says(&rig, "late", RIG_WHOLE);
    assert_false(http_visit_is_raw(rig.visit));
    http_visit_visitor_ended(rig.visit);
    STATE(&rig, RAW); /* "late" is still to go */
    rig.is_stuck = false;
    rig_on_service_output(&rig);
    assert_true(has(&rig.service, "late"));
    STATE(&rig, CLOSING);
    rig_close(&rig);
}

static void test_an_upgrade_may_be_refused(void **state)
{
    (void)state;
    struct rig rig = {0};
    rig_open(&rig);
    rig_visitor_says(&rig, WEBSOCKET GET, RIG_WHOLE);
    rig_service_says(&rig, OK, RIG_WHOLE);
    assert_int_equal(rig.requests, 2);
    assert_false(rig.is_upgrade);
    rig_service_says(&rig, OK, RIG_WHOLE);
    assert_string_equal(rig.visitor.at, OK OK);
    rig_close(&rig);
}

static void test_idle_and_raw_visits_are_cheap(void **state)
{
    (void)state;
    struct rig rig = {0};
    rig_open(&rig);
    assert_true(http_visit_size() < 600);
    assert_int_equal(http_visit_held(rig.visit), 0);
    rig_visitor_says(&rig, GET, RIG_BYTES);
    rig_service_says(&rig, OK, RIG_BYTES);
    assert_int_equal(http_visit_held(rig.visit), 0);
    struct rig_bytes request = {0};
    rig_append(&request, WEBSOCKET, strlen(WEBSOCKET) - 2);
    rig_append(&request, "Cookie: ", 8);
    for (int i = 0; i < 9000; i++)
        rig_append(&request, "x", 1);
    rig_append(&request, "\r\n\r\n", 4);
    rig_feed(&rig, false, request.at, request.length, 3);
    rig_service_says(&rig, SWITCH, 3);
    STATE(&rig, RAW);
    assert_true(http_visit_held(rig.visit) < 100); /* what the record needs */
    free(request.at);
    rig_close(&rig);
}

static void test_a_visitor_that_ends_is_served_what_it_asked(void **state)
{
    (void)state;
    struct rig rig = {0};
    rig_open(&rig);
    rig_visitor_says(&rig, GET GET, RIG_WHOLE);
    http_visit_visitor_ended(rig.visit);
    STATE(&rig, EXCHANGE);
    rig_service_says(&rig, OK, RIG_WHOLE);
    STATE(&rig, EXCHANGE);
    rig_service_says(&rig, OK, RIG_WHOLE);
    assert_string_equal(rig.visitor.at, OK OK);
    STATE(&rig, CLOSING);
    rig_close(&rig);
}

static void test_a_visitor_that_ends_too_soon_is_given_up(void **state)
{
    (void)state;
    static const struct {
        const char *request, *answer;
        int dones;
        bool is_broken;
    } cases[] = {
        {"", "", 0, false},
        {"GET / HTTP", "", 0, false},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell", "", 1, false},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell",
         "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 1, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig rig = {0};
        rig_open(&rig);
        rig_visitor_says(&rig, cases[i].request, RIG_WHOLE);
        rig_service_says(&rig, cases[i].answer, RIG_WHOLE);
        http_visit_visitor_ended(rig.visit);
        STATE(&rig, CLOSING);
        assert_int_equal(rig.dones, cases[i].dones);
        assert_int_equal(http_visit_is_broken(rig.visit), cases[i].is_broken);
        assert_false(rig.is_whole);
        rig_close(&rig);
    }
}

static void test_an_abort_is_told_once(void **state)
{
    (void)state;
    struct rig rig = {0};
    rig_open(&rig);
    rig_visitor_says(&rig, GET, RIG_WHOLE);
    rig_service_says(&rig, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe", RIG_WHOLE);
    assert_true(http_visit_has_answer(rig.visit));
    http_visit_abort(rig.visit);
    http_visit_abort(rig.visit);
    assert_int_equal(rig.dones, 1);
    assert_int_equal(rig.bytes_out, 2);
    assert_int_equal(rig.status, 200);
    assert_true(http_visit_is_broken(rig.visit));
    STATE(&rig, CLOSING);
    rig_close(&rig);
}

static void test_draining_takes_no_further_request(void **state)
{
    (void)state;
    struct rig rig = {0};
    rig_open(&rig);
    http_visit_drain(rig.visit);
    STATE(&rig, CLOSING);
    rig_close(&rig);

    struct rig busy = {0};
    rig_open(&busy);
    rig_visitor_says(&busy, GET GET, RIG_WHOLE);
    http_visit_drain(busy.visit);
    STATE(&busy, EXCHANGE);
    rig_service_says(&busy, OK, RIG_WHOLE);
    assert_true(has(&busy.visitor, "Connection: close\r\n"));
    assert_int_equal(busy.requests, 1);
    STATE(&busy, CLOSING);
    rig_close(&busy);
}

static void test_a_service_may_close_while_its_visitor_stays(void **state)
{
    (void)state;
    struct rig rig = {0};
    rig_open(&rig);
    rig_visitor_says(&rig, GET, RIG_WHOLE);
    rig_service_says(&rig, "HTTP/1.0 200 OK\r\n\r\nuntil the end", RIG_WHOLE);
    http_visit_service_ended(rig.visit);
    assert_true(rig.is_whole && !rig.keeps_service);
    assert_true(has(&rig.visitor, "Transfer-Encoding: chunked\r\n"));
    assert_true(has(&rig.visitor, "d\r\nuntil the end\r\n0\r\n\r\n"));
    STATE(&rig, IDLE);
    http_visit_service_ended(rig.visit); /* of nobody's concern */
    STATE(&rig, IDLE);
    rig_visitor_says(&rig, GET, RIG_WHOLE);
    assert_int_equal(rig.requests, 2);
    rig_close(&rig);
}

static void test_forwarding_headers_of_a_trusted_visitor_are_continued(void **state)
{
    (void)state;
    struct rig rig = {.forward = {.visitor = "2001:db8::1",
                                  .proto = "https",
                                  .host_header = "localhost:3000",
                                  .is_trusted = true}};
    rig_open(&rig);
    rig_visitor_says(&rig,
                     "GET / HTTP/1.1\r\nHost: a.example:8443\r\nX-Forwarded-For: 192.0.2.7\r\n"
                     "X-Forwarded-For: 192.0.2.8\r\nX-Forwarded-Proto: http\r\n"
                     "Forwarded: for=192.0.2.7\r\n\r\n",
                     RIG_WHOLE);
    assert_string_equal(rig.service.at,
                        "GET / HTTP/1.1\r\nHost: localhost:3000\r\n"
                        "X-Forwarded-For: 192.0.2.7, 192.0.2.8, 2001:db8::1\r\n"
                        "X-Forwarded-Host: a.example:8443\r\nX-Forwarded-Proto: http\r\n"
                        "X-Real-IP: 2001:db8::1\r\n"
                        "Forwarded: for=192.0.2.7, for=\"[2001:db8::1]\";"
                        "host=\"a.example:8443\";proto=https\r\n\r\n");
    rig_close(&rig);
}

static void test_a_request_that_goes_in_a_circle_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *lines;
        bool is_loop;
    } cases[] = {
        {"", false},
        {"CDN-Loop: here, here\r\n", false},
        {"CDN-Loop: here, here, here\r\n", true},
        {"CDN-Loop: HERE, here, Here, here\r\n", true},
        {"cdn-loop: one, here\r\nX: y\r\nCDN-Loop: two, here; v=1, three,here\r\n", true},
        {"CDN-Loop: here,one,here ;v=\"2\",here\r\n", true},
        {"CDN-Loop: one; v=\", here,here,here\r\n", true}, /* a quote left open hides nothing */
        {"Connection: CDN-Loop\r\nCDN-Loop: here, here, here\r\n", true},
        {"CDN-Loop: here, here, one; here, here.example, nothere, here-2\r\n", false},
        {"CDN-Loop: here, here\r\nX-CDN-Loop: here\r\nVia: here\r\n", false},
        {"CDN-Loop: ;here, ;here, ;here, ,\r\n", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int minor = 0; minor < 2; minor++) {
            char request[512];
            struct rig rig = {.options.cdn_id = "here"};
            rig_open(&rig);
            snprintf(request, sizeof request, "GET / HTTP/1.%d\r\nHost: a\r\n%s\r\n", minor,
                     cases[i].lines);
            rig_visitor_says(&rig, request, RIG_WHOLE);
            assert_int_equal(rig.requests, 1);
            if (rig.is_loop != cases[i].is_loop)
                fail_msg("a loop is%s seen in\n%s", rig.is_loop ? "" : "n't", request);
            rig_close(&rig);
        }
    }
}

static void test_an_edge_without_a_name_sees_no_loop(void **state)
{
    (void)state;
    struct rig rig = {0};
    rig_open(&rig);
    rig_visitor_says(&rig, "GET / HTTP/1.1\r\nHost: a\r\nCDN-Loop: one\r\nCDN-Loop: two\r\n\r\n",
                     RIG_WHOLE);
    assert_false(rig.is_loop);
    assert_true(has(&rig.service, "\r\nCDN-Loop: one, two\r\n"));
    forget_output(&rig);
    rig_service_says(&rig, OK, RIG_WHOLE);
    rig_visitor_says(&rig, GET, RIG_WHOLE);
    assert_false(has(&rig.service, "CDN-Loop"));
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_exchange_is_told),
        cmocka_unit_test(test_the_host_is_told_in_one_form),
        cmocka_unit_test(test_pipelined_requests_wait_for_their_turn),
        cmocka_unit_test(test_a_flood_of_requests_piles_up_no_answers),
        cmocka_unit_test(test_back_pressure_stops_the_other_side),
        cmocka_unit_test(test_a_held_body_waits_and_its_head_can_be_sent_again),
        cmocka_unit_test(test_a_retry_drops_what_was_left),
        cmocka_unit_test(test_our_own_answer_keeps_the_connection_if_it_can),
        cmocka_unit_test(test_our_own_answers_have_a_date),
        cmocka_unit_test(test_a_refusal_needs_no_request),
        cmocka_unit_test(test_a_refused_head_stands_in_the_record),
        cmocka_unit_test(test_an_early_answer_ends_the_connection),
        cmocka_unit_test(test_a_body_may_go_on_during_the_answer),
        cmocka_unit_test(test_a_service_that_lacks_part_of_the_request_is_not_kept),
        cmocka_unit_test(test_bytes_beyond_an_answer_spoil_its_connection),
        cmocka_unit_test(test_expect_is_asked_of_the_service),
        cmocka_unit_test(test_an_upgrade_makes_it_raw),
        cmocka_unit_test(test_raw_half_closes_after_what_waits),
        cmocka_unit_test(test_an_upgrade_may_be_refused),
        cmocka_unit_test(test_idle_and_raw_visits_are_cheap),
        cmocka_unit_test(test_a_visitor_that_ends_is_served_what_it_asked),
        cmocka_unit_test(test_a_visitor_that_ends_too_soon_is_given_up),
        cmocka_unit_test(test_an_abort_is_told_once),
        cmocka_unit_test(test_draining_takes_no_further_request),
        cmocka_unit_test(test_a_service_may_close_while_its_visitor_stays),
        cmocka_unit_test(test_forwarding_headers_of_a_trusted_visitor_are_continued),
        cmocka_unit_test(test_a_request_that_goes_in_a_circle_is_told),
        cmocka_unit_test(test_an_edge_without_a_name_sees_no_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
