#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/files_request.h"
#include "agent/files_type.h"
#include "file_head.h"

static char text[8192];
static struct http_head head;
static struct files_request request;

static int ask(const char *method, const char *target, bool shows_hidden)
{
    memset(&request, 0x55, sizeof request);
    snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: a\r\n\r\n", method, target);
    read_head(text, &head);
    return files_request_read(&head, shows_hidden, &request);
}

static void expect(const char *target, const char *path, bool is_folder, const char *query)
{
    int status = ask("GET", target, false);
    if (status)
        fail_msg("%s: %d", target, status);
    assert_string_equal(request.path, path);
    assert_int_equal(request.is_folder, is_folder);
    assert_false(request.is_head);
    assert_int_equal(request.query.length, strlen(query));
    assert_memory_equal(request.query.at, query, strlen(query));
}

static void refuse(const char *target, int status)
{
    int given = ask("GET", target, false);
    if (given != status)
        fail_msg("%s: %d, not %d", target, given, status);
}

static void test_paths_are_decoded(void **state)
{
    (void)state;
    expect("/", "", true, "");
    expect("/a", "a", false, "");
    expect("/a/", "a", true, "");
    expect("/a/b.txt", "a/b.txt", false, "");
    expect("/a%20b/%C3%BC%2b+/?x=/../%", "a b/\xc3\xbc++", true, "?x=/../%");
    expect("/?", "", true, "?");
    expect("/%3fa%23%25", "?a#%", false, "");
    expect("http://a/b/c?d", "b/c", false, "?d");
    expect("http://a", "", true, "");
    expect("http://a?b", "", true, "?b");
    expect("/a...", "a...", false, "");
}

static void test_paths_that_lead_elsewhere_are_not_there(void **state)
{
    (void)state;
    refuse("/..", 404);
    refuse("/../", 404);
    refuse("/a/../b", 404);
    refuse("/a/..", 404);
    refuse("/./a", 404);
    refuse("/a/%2e%2e/b", 404);
    refuse("/%2E./b", 404);
    refuse("/..%2fb", 404);
    refuse("/a%2Fb", 404);
    refuse("//a", 404);
    refuse("//", 404);
    refuse("/a//b", 404);
}

static void test_malformed_paths_are_refused(void **state)
{
    (void)state;
    refuse("/%", 400);
    refuse("/%2", 400);
    refuse("/%zz", 400);
    refuse("/%2/x", 400);
    refuse("/a%00", 400);
    refuse("/%?41", 400);
}

static void test_hidden_files_are_shown_when_asked(void **state)
{
    (void)state;
    refuse("/.git/config", 404);
    refuse("/a/.b", 404);
    refuse("/%2Egit", 404);
    assert_int_equal(ask("GET", "/.git/config", true), 0);
    assert_string_equal(request.path, ".git/config");
    assert_int_equal(ask("GET", "/a/../.git", true), 404);
    assert_int_equal(ask("GET", "/.", true), 404);
}

static void test_other_methods_are_refused(void **state)
{
    (void)state;
    assert_int_equal(ask("HEAD", "/a", false), 0);
    assert_true(request.is_head);
    assert_int_equal(ask("POST", "/a", false), 405);
    assert_int_equal(ask("DELETE", "/a", false), 405);
    assert_int_equal(ask("OPTIONS", "*", false), 405);
}

static void test_long_paths_fit_or_are_not_there(void **state)
{
    (void)state;
    char target[PATH_MAX + 100] = "/";
    memset(target + 1, 'a', sizeof target - 2);
    for (size_t at = 200; at < sizeof target - 1; at += 200)
        target[at] = '/';
    target[PATH_MAX] = 0; /* PATH_MAX - 1 bytes and a slash before */
    target[PATH_MAX - 1] = 'a';
    assert_int_equal(ask("GET", target, false), 0);
    assert_string_equal(request.path, target + 1);
    for (size_t length = PATH_MAX + 1; length < PATH_MAX + 90; length++) {
        target[length - 1] = 'a';
        target[length] = 0;
        refuse(target, 404);
        target[length - 1] = '/';
        int status = ask("GET", target, false);
        assert_true(status == 404 || length == PATH_MAX + 1);
    }
}

static void test_names_tell_the_type(void **state)
{
    (void)state;
    assert_string_equal(files_type("a/index.html"), "text/html; charset=utf-8");
    assert_string_equal(files_type("A.JPG"), "image/jpeg");
    assert_string_equal(files_type("a.tar.gz"), "application/gzip");
    assert_string_equal(files_type("a.css/b"), "application/octet-stream");
    assert_string_equal(files_type("README"), "application/octet-stream");
    assert_string_equal(files_type("a."), "application/octet-stream");
    assert_string_equal(files_type("a.unknown"), "application/octet-stream");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths_are_decoded),
        cmocka_unit_test(test_paths_that_lead_elsewhere_are_not_there),
        cmocka_unit_test(test_malformed_paths_are_refused),
        cmocka_unit_test(test_hidden_files_are_shown_when_asked),
        cmocka_unit_test(test_other_methods_are_refused),
        cmocka_unit_test(test_long_paths_fit_or_are_not_there),
        cmocka_unit_test(test_names_tell_the_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
