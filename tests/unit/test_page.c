#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "edge/page.h"

#define BROWSER                                                                                    \
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"

static struct page_text text;
static struct http_answer answer;

static void make_page(enum page page, const char *accept, const char *detail)
{
    memset(&text, 0x55, sizeof text);
    page_make(page, accept, detail, &text, &answer);
    assert_true(answer.body_length > 0 && answer.body_length < sizeof text.body);
    text.body[answer.body_length] = 0; /* for strstr() */
}

static void expect_has(const char *where, const char *what)
{
    if (!strstr(where, what))
        fail_msg("%s isn't in %s", what, where);
}

static void test_the_form_is_the_one_accepted(void **state)
{
    (void)state;
    static const struct {
        const char *accept, *type;
    } cases[] = {
        {"", "text/plain; charset=utf-8"},
        {"*/*", "text/plain; charset=utf-8"},
        {BROWSER, "text/html; charset=utf-8"},
        {"TEXT/HTML", "text/html; charset=utf-8"},
        {"application/json", "application/json"},
        {"application/json, text/plain, */*", "application/json"},
        {"application/problem+json", "application/json"},
        {"text/html, application/json", "text/html; charset=utf-8"},
        {"text/html;q=0.5, application/json;q=0.9", "application/json"},
        {"text/html;q=0.9,application/json ; q=0.25", "text/html; charset=utf-8"},
        {"text/html;level=1;q=0.1, text/plain", "text/plain; charset=utf-8"},
        {"text/html;q=0", "text/plain; charset=utf-8"},
        {"text/html;q=0.0, application/json;q=0.001", "application/json"},
        {"text/htmlx", "text/plain; charset=utf-8"},
        {"image/png, text/*", "text/plain; charset=utf-8"},
        {",,;;, ;q=, ;", "text/plain; charset=utf-8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        make_page(PAGE_NO_AGENT, cases[i].accept, "");
        if (strcmp(answer.content_type, cases[i].type) != 0)
            fail_msg("%s: %s", cases[i].accept, answer.content_type);
    }
}

static void test_every_page_says_what_it_is(void **state)
{
    (void)state;
    static const struct {
        enum page page;
        int status;
        const char *code;
    } cases[] = {
        {PAGE_BAD_REQUEST, 400, "BAD_REQUEST"},
        {PAGE_UNKNOWN_NAME, 404, "UNKNOWN_NAME"},
        {PAGE_NOT_FOUND, 404, "NOT_FOUND"},
        {PAGE_CONNECT_REFUSED, 405, "METHOD_NOT_ALLOWED"},
        {PAGE_SLOW_REQUEST, 408, "REQUEST_TIMEOUT"},
        {PAGE_EXPECT_UNKNOWN, 417, "EXPECTATION_FAILED"},
        {PAGE_MISDIRECTED, 421, "MISDIRECTED"},
        {PAGE_HEAD_TOO_LARGE, 431, "HEAD_TOO_LARGE"},
        {PAGE_METHOD_UNKNOWN, 501, "METHOD_UNKNOWN"},
        {PAGE_SERVICE_REFUSED, 502, "SERVICE_REFUSED"},
        {PAGE_SERVICE_BROKEN, 502, "SERVICE_BROKEN"},
        {PAGE_TUNNEL_GONE, 502, "TUNNEL_GONE"},
        {PAGE_NO_AGENT, 503, "NO_AGENT"},
        {PAGE_TOO_MANY, 503, "TOO_MANY_CONNECTIONS"},
        {PAGE_SERVICE_SILENT, 504, "SERVICE_SILENT"},
        {PAGE_VERSION_UNKNOWN, 505, "VERSION_UNKNOWN"},
        {PAGE_LOOP, 508, "LOOP_DETECTED"},
        {PAGE_URL_TOO_LONG, 414, "URL_TOO_LONG"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char header[64];
        snprintf(header, sizeof header, "X-Streamplex-Error: %s\r\n", cases[i].code);
        assert_string_equal(page_code(cases[i].page), cases[i].code);
        make_page(cases[i].page, "", "");
        assert_int_equal(answer.status, cases[i].status);
        expect_has(answer.head, header);
        expect_has(answer.head, "Cache-Control: no-store\r\n");
        expect_has(answer.body, cases[i].code);
        assert_int_equal(!!strstr(answer.head, "Retry-After: "), cases[i].status == 503);
        make_page(cases[i].page, BROWSER, "");
        expect_has(answer.body, cases[i].code);
        assert_null(strstr(answer.body, "http:")); /* nothing is fetched from elsewhere */
        assert_null(strstr(answer.body, "url("));
        expect_has(answer.body, "color-scheme: light dark");
    }
}

static void test_a_status_has_its_page(void **state)
{
    (void)state;
    static const int statuses[] = {400, 405, 408, 414, 417, 421, 431, 501, 502, 505};
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        make_page(page_of_status(statuses[i]), "", "");
        assert_int_equal(answer.status, statuses[i]);
        assert_int_equal(atoi(answer.body), statuses[i]);
    }
}

static void test_json_is_for_programs(void **state)
{
    (void)state;
    make_page(PAGE_NO_AGENT, "application/json", "a\"b\\.example");
    json_t *object = json_loadb(answer.body, answer.body_length, 0, NULL);
    assert_non_null(object);
    assert_string_equal(json_string_value(json_object_get(object, "error")), "NO_AGENT");
    assert_int_equal(json_integer_value(json_object_get(object, "status")), 503);
    assert_int_equal(json_integer_value(json_object_get(object, "retry_after")), 5);
    assert_string_equal(json_string_value(json_object_get(object, "detail")), "a\"b\\.example");
    json_decref(object);
}

static void test_details_are_escaped(void **state)
{
    (void)state;
    make_page(PAGE_UNKNOWN_NAME, BROWSER, "<script>alert('&\"')</script>");
    assert_null(strstr(answer.body, "<script"));
    expect_has(answer.body, "&lt;script&gt;alert(&#39;&amp;&quot;&#39;)&lt;/script&gt;");
    make_page(PAGE_UNKNOWN_NAME, "",
              "a\r\nb\x1b[m\xff\xc2\x9f"
              "gr\xc3\xbc\xc3\x9f");
    expect_has(answer.body, "a??b?[m??gr\xc3\xbc\xc3\x9f");
}

static void test_long_details_are_cut_at_a_character(void **state)
{
    (void)state;
    char longest[4096];
    static const char *const accepts[] = {"", BROWSER, "application/json"};
    for (size_t i = 0; i < 3; i++) {
        for (size_t shift = 0; shift < 2; shift++) {
            memset(longest, '"', sizeof longest);
            for (size_t at = shift; at + 2 < sizeof longest; at += 2)
                memcpy(longest + at, "\xc3\xbc", 2);
            longest[sizeof longest - 1] = 0;
            make_page(PAGE_UNKNOWN_NAME, accepts[i], longest);
            expect_has(answer.body, "\xc3\xbc...");
        }
        memset(longest, '"', sizeof longest - 1);
        make_page(PAGE_UNKNOWN_NAME, accepts[i], longest);
        expect_has(answer.body, "...");
    }
}

static void test_redirects_lead_to_https(void **state)
{
    (void)state;
    make_page(PAGE_REDIRECT, BROWSER, "https://a.example/x?y=<1>&z=\xc3\xbc\r\nSet-Cookie: a\\");
    assert_int_equal(answer.status, 308);
    expect_has(answer.head, "Location: https://a.example/x?y=%3C1%3E&z=%C3%BC%0D%0A"
                            "Set-Cookie:%20a%5C\r\n");
    assert_null(strstr(answer.head, "X-Streamplex-Error"));
    assert_null(strstr(answer.head, "\nSet-Cookie"));

    char longest[PAGE_URL_MAX + 2] = "https://a.example/";
    memset(longest + 18, 'x', sizeof longest - 19);
    longest[PAGE_URL_MAX] = 0;
    make_page(PAGE_REDIRECT, "", longest);
    assert_int_equal(answer.status, 308);
    expect_has(answer.head, longest);
    assert_int_equal(answer.head[strlen(answer.head) - 1], '\n');
    longest[PAGE_URL_MAX] = 'x';
    make_page(PAGE_REDIRECT, "", longest);
    assert_int_equal(answer.status, 414);
    assert_null(strstr(answer.head, "Location"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_form_is_the_one_accepted),
        cmocka_unit_test(test_every_page_says_what_it_is),
        cmocka_unit_test(test_a_status_has_its_page),
        cmocka_unit_test(test_json_is_for_programs),
        cmocka_unit_test(test_details_are_escaped),
        cmocka_unit_test(test_long_details_are_cut_at_a_character),
        cmocka_unit_test(test_redirects_lead_to_https),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
