#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "edge/visit_record.h"
#include "streamplex.h"

static const struct visit_record http_visit = {
    .service = "web",
    .socket = "shy-bush-6765.edge.localhost",
    .owner = "ann",
    .type = "https",
    .visitor = "192.0.2.106",
    .method = "GET",
    .target = "/",
    .version = "HTTP/1.1",
    .referer = "",
    .user_agent = "curl/7.64.0",
    .error = "",
    .time = 1606324386123,
    .status = 200,
    .bytes_in = 0,
    .bytes_out = 432,
    .total = 32949,
    .answer = 9049,
};

static const struct visit_record tcp_visit = {
    .service = "echo",
    .socket = "edge.localhost:41106",
    .owner = "",
    .type = "tls",
    .visitor = "192.0.2.106",
    .method = "",
    .target = "",
    .version = "",
    .referer = "",
    .user_agent = "",
    .error = "",
    .time = 1606331990999,
    .status = 200,
    .bytes_in = 5,
    .bytes_out = 8,
    .total = 1899000,
    .substream = 7,
};

#define HTTP_LINE                                                                                  \
    "192.0.2.106 - - [25/Nov/2020:17:13:06 +0000] \"GET / HTTP/1.1\" 200 432 \"-\" "               \
    "\"curl/7.64.0\" response_time=\"0.032 sec\""
#define TCP_LINE                                                                                   \
    "192.0.2.106 [25/Nov/2020:19:19:50 +0000] TCP 200 bytes_sent:8 bytes_received:5 "              \
    "session_time: 1.899"

static void expect_line(const struct visit_record *record, const char *line)
{
    char buffer[VISIT_LINE_MAX];
    assert_int_equal(visit_record_line(record, buffer), strlen(line));
    assert_string_equal(buffer, line);
}

static void test_lines_of_http(void **state)
{
    (void)state;
    struct visit_record record = http_visit;
    expect_line(&record, HTTP_LINE " edge=23.9ms answer=9.0ms");
    record.service_time = 5650;
    expect_line(&record, HTTP_LINE " edge=23.9ms tunnel=3.4ms service=5.7ms");
    record.answer = 0;
    expect_line(&record, HTTP_LINE);
    record.error = "NO_AGENT";
    record.status = 503;
    record.referer = "http://a.example/";
    record.total = 61000001;
    expect_line(&record, "192.0.2.106 - - [25/Nov/2020:17:13:06 +0000] \"GET / HTTP/1.1\" 503 432 "
                         "\"http://a.example/\" \"curl/7.64.0\" response_time=\"61.000 sec\" "
                         "error=NO_AGENT");
    record.method = record.target = record.version = record.user_agent = record.referer = "";
    record.status = 0;
    expect_line(&record, "192.0.2.106 - - [25/Nov/2020:17:13:06 +0000] \"-\" 000 432 \"-\" \"-\" "
                         "response_time=\"61.000 sec\" error=NO_AGENT");
}

/* The agent and the edge measure with two clocks. */
static void test_shares_are_never_negative(void **state)
{
    (void)state;
    struct visit_record record = http_visit;
    record.service_time = 9999;
    expect_line(&record, HTTP_LINE " edge=23.9ms tunnel=0.0ms service=9.0ms");
    record.answer = 99999;
    record.service_time = 99999;
    expect_line(&record, HTTP_LINE " edge=0.0ms tunnel=0.0ms service=32.9ms");
}

static void test_lines_of_streams(void **state)
{
    (void)state;
    struct visit_record record = tcp_visit;
    expect_line(&record, TCP_LINE);
    record.type = "tcp";
    expect_line(&record, TCP_LINE);
    record.type = "passthrough";
    record.visitor = "2001:db8::1";
    record.error = "SERVICE_REFUSED";
    record.status = 502;
    record.bytes_in = record.bytes_out = record.total = 0;
    expect_line(&record, "2001:db8::1 [25/Nov/2020:19:19:50 +0000] TCP 502 bytes_sent:0 "
                         "bytes_received:0 session_time: 0.000 error=SERVICE_REFUSED");
}

static void test_small_numbers_of_a_time_have_their_zeroes(void **state)
{
    (void)state;
    char buffer[VISIT_LINE_MAX];
    struct visit_record record = tcp_visit;
    record.time = 1609815845006;
    record.total = 7000;
    expect_line(&record, "192.0.2.106 [05/Jan/2021:03:04:05 +0000] TCP 200 bytes_sent:8 "
                         "bytes_received:5 session_time: 0.007");
    buffer[visit_record_json(&record, buffer)] = 0;
    assert_non_null(strstr(buffer, "{\"time\":\"2021-01-05T03:04:05.006Z\","));
}

static void test_access_lines_have_socket_and_owner(void **state)
{
    (void)state;
    char buffer[VISIT_LINE_MAX];
    struct visit_record record = tcp_visit;
    visit_record_access_line(&record, buffer);
    assert_string_equal(buffer, TCP_LINE " socket=edge.localhost:41106 owner=\"-\"");
    record.owner = "a\"b";
    visit_record_access_line(&record, buffer);
    assert_string_equal(buffer, TCP_LINE " socket=edge.localhost:41106 owner=\"a\\\"b\"");
}

static void test_nothing_breaks_out_of_a_line(void **state)
{
    (void)state;
    char buffer[VISIT_LINE_MAX];
    struct visit_record record = http_visit;
    record.target = "/\"\\\r\n\x1b[2J\x7f\xff\xc2\x9b"
                    "gr\xc3\xbc\xc3\x9f";
    visit_record_line(&record, buffer);
    assert_non_null(strstr(buffer, "\"GET /\\\"\\\\\\x0d\\x0a\\x1b[2J\\x7f\\xff\\xc2\\x9b"
                                   "gr\xc3\xbc\xc3\x9f HTTP/1.1\""));
}

/* The longest that every field can be, of what grows most. */
static void fill(struct visit_record *record, char *text, size_t size, const char *unit)
{
    size_t length = strlen(unit);
    for (size_t at = 0; at + length < size; at += length)
        memcpy(text + at, unit, length + 1);
    record->service = record->socket = record->owner = record->visitor = text;
    record->method = record->target = record->version = text;
    record->referer = record->user_agent = record->error = text;
    record->time = 253402300799999;
    record->status = 999;
    record->bytes_in = record->bytes_out = INT64_MAX;
    record->total = record->answer = record->service_time = INT64_MAX;
    record->substream = UINT16_MAX;
}

/* A text of the exact size, so that a read past its end shows; checked as the engine does. */
static bool read_message(const char *json, size_t length, struct visit_message *ret_message)
{
    char *exact = malloc(length ? length : 1);
    memcpy(exact, json, length);
    bool good = plex_json_check(exact, length) && visit_message_read(exact, ret_message);
    free(exact);
    return good;
}

static void test_long_texts_are_cut(void **state)
{
    (void)state;
    static char text[20000];
    static const char *const units[] = {"a", "\"", "\x01", "\xff", "\xc2\x85", "\xf0\x9f\x98\x80"};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        char buffer[VISIT_LINE_MAX];
        struct visit_record record = http_visit;
        fill(&record, text, sizeof text, units[i]);
        size_t length = visit_record_access_line(&record, buffer);
        assert_true(length < VISIT_LINE_MAX);
        assert_int_equal(buffer[length - 1], '"'); /* the last field is whole */
        length = visit_record_json(&record, buffer);
        assert_true(length > 0 && length < VISIT_LINE_MAX);
        json_t *object = json_loadb(buffer, length, 0, NULL);
        assert_non_null(strstr(json_string_value(json_object_get(object, "target")), "..."));
        json_decref(object);
        length = visit_record_message(&record, buffer);
        assert_true(length > 200 && length <= 1000);
        struct visit_message message;
        assert_true(read_message(buffer, length, &message));
    }
}

static void test_json_is_for_machines(void **state)
{
    (void)state;
    char buffer[VISIT_LINE_MAX];
    struct visit_record record = http_visit;
    record.service_time = 5600;
    size_t length = visit_record_json(&record, buffer);
    buffer[length] = 0;
    assert_string_equal(
        buffer, "{\"time\":\"2020-11-25T17:13:06.123Z\",\"service\":\"web\","
                "\"socket\":\"shy-bush-6765.edge.localhost\",\"owner\":\"ann\",\"type\":\"https\","
                "\"visitor\":\"192.0.2.106\",\"method\":\"GET\",\"target\":\"/\","
                "\"version\":\"HTTP/1.1\",\"user_agent\":\"curl/7.64.0\",\"status\":200,"
                "\"bytes_in\":0,\"bytes_out\":432,\"total_us\":32949,\"answer_us\":9049,"
                "\"service_us\":5600}");
}

static void expect_same(const struct visit_record *a, const struct visit_record *b)
{
    assert_string_equal(a->service, b->service);
    assert_string_equal(a->type, b->type);
    assert_string_equal(a->visitor, b->visitor);
    assert_string_equal(a->method, b->method);
    assert_string_equal(a->target, b->target);
    assert_string_equal(a->version, b->version);
    assert_string_equal(a->referer, b->referer);
    assert_string_equal(a->user_agent, b->user_agent);
    assert_string_equal(a->error, b->error);
    assert_int_equal(a->time, b->time);
    assert_int_equal(a->status, b->status);
    assert_int_equal(a->bytes_in, b->bytes_in);
    assert_int_equal(a->bytes_out, b->bytes_out);
    assert_int_equal(a->total, b->total);
    assert_int_equal(a->answer, b->answer);
    assert_int_equal(a->substream, b->substream);
}

static void test_a_message_brings_the_record(void **state)
{
    (void)state;
    static const struct visit_record *const records[] = {&http_visit, &tcp_visit};
    for (size_t i = 0; i < 2; i++) {
        char buffer[VISIT_LINE_MAX];
        size_t length = visit_record_message(records[i], buffer);
        assert_true(length > 0 && length <= 1000);
        assert_null(memmem(buffer, length, "ann", 3)); /* the owner stays with the server */
        struct visit_message message;
        memset(&message, 'x', sizeof message);
        assert_true(read_message(buffer, length, &message));
        expect_same(&message.record, records[i]);
        assert_string_equal(message.record.socket, ""); /* the agent knows it by the service */
        assert_string_equal(message.record.owner, "");
        assert_int_equal(message.record.service_time, 0);
    }
}

/* As STREAMPLEX.md 8.8 has it. */
static void test_a_message_has_the_wires_form(void **state)
{
    (void)state;
    char buffer[VISIT_LINE_MAX];
    buffer[visit_record_message(&tcp_visit, buffer)] = 0;
    assert_string_equal(buffer,
                        "{\"visit\":{\"time\":1606331990999,\"service\":\"echo\",\"type\":\"tls\","
                        "\"visitor\":\"192.0.2.106\",\"status\":200,\"bytes_in\":5,\"bytes_out\":8,"
                        "\"total_us\":1899000,\"substream\":7}}");
}

static void test_other_messages_are_none(void **state)
{
    (void)state;
#define LEAST "\"visit\":{\"service\":\"a\",\"type\":\"tcp\",\"visitor\":\"b\""
    static const char *const bad[] = {
        "",
        "null",
        "[]",
        "{}",
        "{\"visit\":null}",
        "{\"visit\":{}}",
        "{\"service\":\"a\",\"type\":\"tcp\",\"visitor\":\"b\"}",
        "{\"visit\":{\"type\":\"tcp\",\"visitor\":\"b\"}}",
        "{\"visit\":{\"service\":\"\",\"type\":\"tcp\",\"visitor\":\"b\"}}",
        "{\"visit\":{\"service\":\"a\",\"type\":\"tcp\"}}",
        "{\"visit\":{\"service\":\"a\",\"type\":\"udp\",\"visitor\":\"b\"}}",
        "{\"visit\":{\"service\":\"a\",\"visitor\":\"b\"}}",
        "{\"visit\":{\"service\":1,\"type\":\"tcp\",\"visitor\":\"b\"}}",
        "{" LEAST ",\"service\":\"a\"}}",
        "{" LEAST "},\"v\\u0069sit\":{}}",
        "{" LEAST ",\"method\":null}}",
        "{" LEAST ",\"target\":\"a\\u0000b\"}}",
        "{" LEAST ",\"status\":1000}}",
        "{" LEAST ",\"status\":\"200\"}}",
        "{" LEAST ",\"status\":200.0}}",
        "{" LEAST ",\"total_us\":-1}}",
        "{" LEAST ",\"bytes_in\":9223372036854775808}}",
        "{" LEAST ",\"time\":253402300800000}}",
        "{" LEAST ",\"substream\":65536}}",
        "{" LEAST "}} x",
    };
    struct visit_message message;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (read_message(bad[i], strlen(bad[i]), &message))
            fail_msg("taken: %s", bad[i]);
    assert_true(read_message("{" LEAST "}}", strlen("{" LEAST "}}"), &message));
}

/* What is missing, and what is as large as it may be. */
static void test_the_least_and_the_most(void **state)
{
    (void)state;
    struct visit_message message;
    static const char most[] =
        " {\"later\":[1,1] ,\"visit\" :{\"time\":253402300799999,\"bytes_in\":9223372036854775807,"
        "\"bytes_out\":9223372036854775807,\"total_us\":9223372036854775807,"
        "\"answer_us\":9223372036854775807,\"status\":999,\"substream\":65535,\"x\":{\"x\":[]},"
        "\"visitor\":\"b\",\"type\":\"passthrough\",\"service\":\"a\"} } ";
    memset(&message, 'x', sizeof message);
    assert_true(read_message("{" LEAST "}}", strlen("{" LEAST "}}"), &message));
    const struct visit_record least = {.service = "a",
                                       .type = "tcp",
                                       .visitor = "b",
                                       .method = "",
                                       .target = "",
                                       .version = "",
                                       .referer = "",
                                       .user_agent = "",
                                       .error = ""};
    expect_same(&message.record, &least);
    assert_true(read_message(most, sizeof most - 1, &message));
    assert_int_equal(message.record.time, 253402300799999);
    assert_int_equal(message.record.bytes_in, INT64_MAX);
    assert_int_equal(message.record.bytes_out, INT64_MAX);
    assert_int_equal(message.record.total, INT64_MAX);
    assert_int_equal(message.record.answer, INT64_MAX);
    assert_int_equal(message.record.status, 999);
    assert_int_equal(message.record.substream, 65535);
}

static void test_texts_are_unescaped(void **state)
{
    (void)state;
    struct visit_message message;
    static const char json[] =
        "{" LEAST ",\"t\\u0061rget\":\"\\/\\\"\\\\\\n\\u00e9\\u20ac\\ud83d\\ude00\xc3\xbc\","
        "\"method\":\"\\u0047ET\"}}";
    assert_true(read_message(json, sizeof json - 1, &message));
    assert_string_equal(message.record.target,
                        "/\"\\\n\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xc3\xbc");
    assert_string_equal(message.record.method, "GET");
}

/* Of a server that doesn't keep to 8.8. */
static void test_texts_have_so_much_room_and_no_more(void **state)
{
    (void)state;
    struct {
        struct visit_message message;
        char behind[16];
    } guarded;
    static char json[20000];
    static const size_t before = sizeof "a" + sizeof "tcp" + sizeof "b";
    for (size_t size = 0; size < 16000; size = size < 1100 ? size + 1 : size * 2) {
        int length = snprintf(json, sizeof json, "{" LEAST ",\"target\":\"%0*d\"}}", (int)size, 7);
        size_t digits = size ? size : 1;
        memset(guarded.behind, 'g', sizeof guarded.behind);
        bool fits = before + digits + 1 <= sizeof guarded.message.texts;
        assert_int_equal(read_message(json, (size_t)length, &guarded.message), fits);
        for (size_t i = 0; i < sizeof guarded.behind; i++)
            assert_int_equal(guarded.behind[i], 'g');
        if (fits)
            assert_int_equal(strlen(guarded.message.record.target), digits);
        /* The next text has what is left, which may be nothing. */
        length = snprintf(json, sizeof json, "{" LEAST ",\"target\":\"%0*d\",\"error\":\"\"}}",
                          (int)size, 7);
        fits = before + digits + 1 + 1 <= sizeof guarded.message.texts;
        assert_int_equal(read_message(json, (size_t)length, &guarded.message), fits);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_of_http),
        cmocka_unit_test(test_shares_are_never_negative),
        cmocka_unit_test(test_lines_of_streams),
        cmocka_unit_test(test_small_numbers_of_a_time_have_their_zeroes),
        cmocka_unit_test(test_access_lines_have_socket_and_owner),
        cmocka_unit_test(test_nothing_breaks_out_of_a_line),
        cmocka_unit_test(test_long_texts_are_cut),
        cmocka_unit_test(test_json_is_for_machines),
        cmocka_unit_test(test_a_message_brings_the_record),
        cmocka_unit_test(test_a_message_has_the_wires_form),
        cmocka_unit_test(test_other_messages_are_none),
        cmocka_unit_test(test_the_least_and_the_most),
        cmocka_unit_test(test_texts_are_unescaped),
        cmocka_unit_test(test_texts_have_so_much_room_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
