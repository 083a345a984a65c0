#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "agent/announce.h"
#include "streamplex.h"

static struct announce_answer parse(const char *json)
{
    struct announce_answer answer;
    size_t length = strlen(json);
    char *exact = malloc(length); /* a read past the end would be seen */
    memcpy(exact, json, length);
    assert_true(plex_json_check(exact, length)); /* as the engine does */
    announce_read(exact, &answer);
    free(exact);
    return answer;
}

static void test_a_plain_service(void **state)
{
    struct service service = {.name = "a \"b\""};
    char text[ANNOUNCE_MAX + 1];
    size_t length = announce_register(&service, "i1", text, ANNOUNCE_MAX);
    text[length] = '\0';
    assert_string_equal(text, "{\"register\":{\"service\":\"a \\\"b\\\"\",\"name\":\"a \\\"b\\\"\","
                              "\"type\":\"https\",\"instance\":\"i1\"}}");
}

static void test_all_that_can_be_asked_for(void **state)
{
    struct service service = {.name = "web",
                              .settings = {.type = SERVICE_HTTP,
                                           .hostname = "h.example",
                                           .https_only = true,
                                           .host_header = "local:8080"}};
    char text[ANNOUNCE_MAX + 1];
    size_t length = announce_register(&service, "i1", text, ANNOUNCE_MAX);
    text[length] = '\0';
    assert_string_equal(text, "{\"register\":{\"service\":\"web\",\"name\":\"web\",\"type\":"
                              "\"http\",\"instance\":\"i1\",\"hostname\":\"h.example\","
                              "\"https_only\":true,\"host_header\":\"local:8080\"}}");
    assert_int_equal(announce_register(&service, "i1", text, length - 1), 0);
    assert_int_equal(announce_register(&service, "i1", text, length), length);
}

static void test_registered(void **state)
{
    struct announce_answer answer =
        parse("{\"registered\":{\"service\":\"web\",\"type\":\"tcp\",\"hostname\":\"a.example\","
              "\"port\":41000,\"url\":\"a.example:41000\"}}");
    assert_int_equal(answer.kind, ANNOUNCE_REGISTERED);
    assert_string_equal(answer.service, "web");
    assert_string_equal(answer.type, "tcp");
    assert_string_equal(answer.hostname, "a.example");
    assert_int_equal(answer.port, 41000);
    assert_string_equal(answer.url, "a.example:41000");
}

static void test_refused(void **state)
{
    struct announce_answer answer =
        parse("{\"refused\":{\"service\":\"web\",\"code\":\"NAME_TAKEN\",\"message\":\"x\"}}");
    assert_int_equal(answer.kind, ANNOUNCE_REFUSED);
    assert_string_equal(answer.service, "web");
    assert_string_equal(answer.code, "NAME_TAKEN");
    assert_string_equal(answer.message, "x");
    answer = parse("{\"refused\":{\"code\":\"BAD\"}}");
    assert_int_equal(answer.kind, ANNOUNCE_REFUSED);
    assert_string_equal(answer.message, "BAD");
}

static void test_what_says_too_little_is_ignored(void **state)
{
    static const char *const texts[] = {
        "{}",
        "{\"visit\":{}}",
        "{\"registered\":null}",
        "{\"registered\":[]}",
        "{\"registered\":{}}",
        "{\"registered\":{\"service\":\"web\"}}",
        "{\"registered\":{\"service\":1,\"url\":\"x\"}}",
        "{\"refused\":{\"service\":\"web\"}}",
        "{\"refused\":\"web\"}",
        "{\"refused\":{\"code\":\"A\",\"code\":\"B\"}}",
        "{\"later\":{\"service\":\"web\"}}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_int_equal(parse(texts[i]).kind, ANNOUNCE_OTHER);
}

static void test_texts_cant_move_the_cursor_and_are_cut(void **state)
{
    char json[1024] = "{\"refused\":{\"service\":\"a\\u001b[2J\\n\",\"code\":\"C\",\"message\":\"";
    for (int i = 0; i < 300; i++)
        strcat(json, "\xc3\xa9"); /* 600 bytes: cut between two characters */
    strcat(json, "\"}}");
    struct announce_answer answer = parse(json);
    assert_string_equal(answer.service, "a?[2J?");
    assert_int_equal(strlen(answer.message), 510);
}

static void test_ports_out_of_range_are_none(void **state)
{
    assert_int_equal(
        parse("{\"registered\":{\"service\":\"w\",\"url\":\"u\",\"port\":65536}}").port, 0);
    assert_int_equal(parse("{\"registered\":{\"service\":\"w\",\"url\":\"u\",\"port\":-1}}").port,
                     0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_plain_service),
        cmocka_unit_test(test_all_that_can_be_asked_for),
        cmocka_unit_test(test_registered),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_what_says_too_little_is_ignored),
        cmocka_unit_test(test_texts_cant_move_the_cursor_and_are_cut),
        cmocka_unit_test(test_ports_out_of_range_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
