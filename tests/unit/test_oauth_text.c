#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/auth_check.h"
#include "server/oauth_text.h"

static char error[256];

static void expect(const char *setting, const char *base, const char *id, const char *secret)
{
    struct oauth_address address;
    if (oauth_address_parse(setting, &address, error, sizeof error) < 0)
        fail_msg("%s: %s", setting, error);
    assert_string_equal(address.base, base);
    assert_string_equal(address.client_id, id);
    assert_string_equal(address.client_secret, secret);
    oauth_address_deinit(&address);
}

static void test_addresses_are_taken_apart(void **state)
{
    (void)state;
    expect("https://id:secret@oauth.example.org", "https://oauth.example.org", "id", "secret");
    expect("https://id:secret@oauth.example.org:8443/", "https://oauth.example.org:8443", "id",
           "secret");
    expect("https://id:s%40c%2Fret@h/base/v1/", "https://h/base/v1", "id", "s@c/ret");
    expect("http://id:secret@127.0.0.1:8080", "http://127.0.0.1:8080", "id", "secret");
    expect("http://id:secret@[::1]:8080/x", "http://[::1]:8080/x", "id", "secret");
    expect("http://id:secret@localhost", "http://localhost", "id", "secret");
}

static void test_unusable_addresses_are_refused_without_their_secret(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "oauth.example.org",
        "https://oauth.example.org",
        "https://id@oauth.example.org",
        "https://id:@oauth.example.org",
        "https://:hunter2@oauth.example.org",
        "https://i%3Ad:hunter2@oauth.example.org",
        "https://id:hunter2@",
        "https://id:hunter2@host:99999",
        "https://id:hunter2@host/?query=1",
        "https://id:hunter2@host/#part",
        "http://id:hunter2@oauth.example.org",
        "http://id:hunter2@127.0.0.1.example.org",
        "http://id:hunter2@10.0.0.1",
        "ftp://id:hunter2@127.0.0.1",
        "file://id:hunter2@127.0.0.1/etc",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct oauth_address address;
        *error = 0;
        if (oauth_address_parse(bad[i], &address, error, sizeof error) == 0)
            fail_msg("taken: %s", bad[i]);
        assert_true(*error);
        assert_null(strstr(error, "hunter2"));
    }
}

static char *find(const char *body, size_t most)
{
    return oauth_answer_text(body, strlen(body), "username", most);
}

static void test_answers_give_their_text(void **state)
{
    (void)state;
    char *name = find("{\"id\":7,\"username\":\"J\\u00fcrgen\",\"more\":{\"username\":1}}", 128);
    assert_string_equal(name, "J\303\274rgen");
    free(name);
    name = find("{\"username\":\"12345678\"}", 8);
    assert_string_equal(name, "12345678");
    free(name);
}

static void test_other_answers_give_nothing(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "null",
        "[]",
        "\"username\"",
        "{",
        "{}",
        "{\"username\":null}",
        "{\"username\":7}",
        "{\"username\":\"\"}",
        "{\"username\":\"123456789\"}",
        "{\"username\":\"a\\u0000b\"}",
        "{\"username\":\"a\\nb\"}",
        "{\"username\":\"a\x7f\"}",
        "{\"username\":\"\xff\"}",
        "{\"username\":\"ann\"} x",
        "<html>busy</html>",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (find(bad[i], 8))
            fail_msg("taken: %s", bad[i]);
    char deep[20000];
    memset(deep, '[', sizeof deep);
    assert_null(oauth_answer_text(deep, sizeof deep, "username", 8));
}

static void test_owners_are_short_and_printable(void **state)
{
    (void)state;
    char longest[AUTH_OWNER_MAX + 1];
    memset(longest, 'a', sizeof longest);
    assert_true(auth_is_owner("ann", 3));
    assert_true(auth_is_owner("J\303\274rgen M.", 10));
    assert_true(auth_is_owner(longest, AUTH_OWNER_MAX));
    assert_false(auth_is_owner(longest, AUTH_OWNER_MAX + 1));
    assert_false(auth_is_owner("", 0));
    assert_false(auth_is_owner("a\0b", 3));
    assert_false(auth_is_owner("a\x1b[m", 4));
    assert_false(auth_is_owner("a\xff", 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses_are_taken_apart),
        cmocka_unit_test(test_unusable_addresses_are_refused_without_their_secret),
        cmocka_unit_test(test_answers_give_their_text),
        cmocka_unit_test(test_other_answers_give_nothing),
        cmocka_unit_test(test_owners_are_short_and_printable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
