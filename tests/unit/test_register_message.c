/* An agent's `register`: what is taken, and what is wrong with the rest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/register_message.h"

#define WHOLE                                                                                      \
    "{\"register\":{\"service\":\"web\",\"name\":\"Youpi \xc3\xa9\",\"type\":\"https\","           \
    "\"instance\":\"3f2a\",\"hostname\":\"www.example.com\",\"https_only\":true,"                  \
    "\"host_header\":\"localhost:8080\"}}"

static struct register_message message;
static const char *fault;

/* From an allocation of exactly its size, so that a read past the end shows. */
static enum register_result parse_bytes(const char *json, size_t length)
{
    char *exact = malloc(length ? length : 1);
    assert_non_null(exact);
    memcpy(exact, json, length);
    fault = NULL;
    memset(&message, 'x', sizeof message);
    enum register_result result = register_message_parse(exact, length, &message, &fault);
    free(exact);
    return result;
}

static enum register_result parse(const char *json)
{
    return parse_bytes(json, strlen(json));
}

/* A register of which everything is good but `key`, whose value is `value`; NULL: it is missing. */
static enum register_result parse_with(const char *key, const char *value)
{
    static const char *const keys[] = {"service",  "name",        "type",      "instance",
                                       "hostname", "host_header", "https_only"};
    static const char *const good[] = {"\"web\"", "\"n\"", "\"tcp\"", "\"i\"", NULL, NULL, NULL};
    static char json[4096];
    size_t at = (size_t)sprintf(json, "{\"register\":{\"colour\":[1,{}]");
    for (int i = 0; i < 7; i++) {
        const char *own = strcmp(keys[i], key) == 0 ? value : good[i];
        if (own)
            at += (size_t)sprintf(json + at, ",\"%s\":%s", keys[i], own);
    }
    strcpy(json + at, "}}");
    return parse(json);
}

/* A JSON string of so many bytes. */
static const char *text_of(size_t length)
{
    static char text[400];
    memset(text, 'a', sizeof text);
    text[0] = text[length + 1] = '"';
    text[length + 2] = 0;
    return text;
}

static void test_all_that_may_be_said(void **state)
{
    assert_int_equal(parse(WHOLE), REGISTER_GOOD);
    assert_string_equal(message.service, "web");
    assert_string_equal(message.name, "Youpi \xc3\xa9");
    assert_string_equal(message.type, "https");
    assert_string_equal(message.instance, "3f2a");
    assert_string_equal(message.hostname, "www.example.com");
    assert_string_equal(message.host_header, "localhost:8080");
    assert_true(message.https_only);
}

static void test_what_may_be_missing(void **state)
{
    assert_int_equal(parse_with("none", NULL), REGISTER_GOOD);
    assert_string_equal(message.hostname, "");
    assert_string_equal(message.host_header, "");
    assert_false(message.https_only);
}

static void test_lengths(void **state)
{
    static const struct {
        const char *key;
        size_t most;
    } texts[] = {{"name", 64}, {"instance", 64}, {"hostname", 253}, {"host_header", 253}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(parse_with(texts[i].key, text_of(texts[i].most)), REGISTER_GOOD);
        assert_int_equal(parse_with(texts[i].key, text_of(texts[i].most + 1)), REGISTER_BAD);
        assert_non_null(strstr(fault, texts[i].key));
        assert_string_equal(message.service, "web");
        assert_int_equal(parse_with(texts[i].key, "\"\""), REGISTER_BAD);
    }
    assert_int_equal(parse_with("service", text_of(64)), REGISTER_GOOD);
    assert_int_equal(parse_with("service", text_of(65)), REGISTER_NO_SERVICE);
    assert_int_equal(parse_with("service", "\"\""), REGISTER_NO_SERVICE);
}

static void test_missing_or_of_another_kind(void **state)
{
    static const char *const needed[] = {"name", "type", "instance"};
    static const char *const others[] = {"1", "null", "true", "[]", "{}", NULL};
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 6; j++) {
            assert_int_equal(parse_with(needed[i], others[j]), REGISTER_BAD);
            assert_non_null(strstr(fault, needed[i]));
        }
    for (int j = 0; j < 5; j++) {
        assert_int_equal(parse_with("hostname", others[j]), REGISTER_BAD);
        assert_int_equal(parse_with("host_header", others[j]), REGISTER_BAD);
        assert_int_equal(parse_with("service", others[j]), REGISTER_NO_SERVICE);
    }
    assert_int_equal(parse_with("https_only", "\"true\""), REGISTER_BAD);
    assert_int_equal(parse_with("https_only", "null"), REGISTER_BAD);
    assert_int_equal(parse_with("https_only", "false"), REGISTER_GOOD);
}

/* Names come to terminals and logs, a host header to a request's head. */
static void test_characters(void **state)
{
    static const char *const never[] = {"\"a\\nb\"",     "\"a\\u0000\"", "\"\\u001bc\"",
                                        "\"a\\u007fb\"", "\"\\u009b\"",  "\"a\\r\""};
    static const char *const keys[] = {"name", "instance", "hostname", "host_header"};
    for (int i = 0; i < 6; i++) {
        for (int j = 0; j < 4; j++)
            assert_int_not_equal(parse_with(keys[j], never[i]), REGISTER_GOOD);
        assert_int_not_equal(parse_with("service", never[i]), REGISTER_GOOD);
    }
    assert_int_equal(parse_with("name", "\"a b \\u00a0\\ud83d\\ude00\\\"\""), REGISTER_GOOD);
    assert_int_equal(parse_with("host_header", "\"a b\""), REGISTER_BAD);
    assert_int_equal(parse_with("host_header", "\"\xc3\xa9\""), REGISTER_BAD);
}

static void test_other_messages(void **state)
{
    assert_int_equal(parse("{}"), REGISTER_OTHER);
    assert_int_equal(parse("{\"visit\":{\"service\":\"web\"}}"), REGISTER_OTHER);
    assert_int_equal(parse("[]"), REGISTER_OTHER);
    assert_int_equal(parse("{\"register\":{},\"register\":{}}"), REGISTER_OTHER);
    assert_int_equal(parse("{\"register\":[]}"), REGISTER_NO_SERVICE);
    assert_int_equal(parse("{\"register\":null}"), REGISTER_NO_SERVICE);
}

/* The engine gives whole texts; a piece of one is none. */
static void test_torn(void **state)
{
    for (size_t length = 0; length < sizeof WHOLE - 1; length++)
        assert_int_equal(parse_bytes(WHOLE, length), REGISTER_OTHER);
    assert_int_equal(parse_bytes(WHOLE, sizeof WHOLE - 1), REGISTER_GOOD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_that_may_be_said),
        cmocka_unit_test(test_what_may_be_missing),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_missing_or_of_another_kind),
        cmocka_unit_test(test_characters),
        cmocka_unit_test(test_other_messages),
        cmocka_unit_test(test_torn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
