/* Log lines as they arrive at the other end of stderr. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"

/* Sequenced packets keep each write(2) apart. */
static int packets[2], saved_stderr;

static void capture(enum log_level least, enum log_format format)
{
    log_configure(least, format);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, packets), 0);
    fflush(stderr);
    saved_stderr = dup(2);
    dup2(packets[0], 2);
}

/* Gives stderr back and the next write(2); "" when there was none. */
static const char *captured(void)
{
    static char text[65536];
    dup2(saved_stderr, 2);
    close(saved_stderr);
    ssize_t n = recv(packets[1], text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = 0;
    if (n > 0)
        assert_true(recv(packets[1], text + n, 1, 0) < 0); /* one write a line */
    close(packets[0]);
    close(packets[1]);
    return text;
}

#define TIME_LENGTH 24 /* 2026-11-22T05:40:00.123Z */

static void assert_text(const char *line, const char *expected)
{
    assert_true(strlen(line) > TIME_LENGTH);
    assert_int_equal(line[4], '-');
    assert_int_equal(line[10], 'T');
    assert_int_equal(line[19], '.');
    assert_int_equal(line[23], 'Z');
    assert_string_equal(line + TIME_LENGTH, expected);
}

static void test_text_line(void **state)
{
    capture(LOG_INFO, LOG_TEXT_FORMAT);
    log_write(LOG_INFO,
              LOG_FIELDS(LOG_NUMBER("tunnel", 7), LOG_NUMBER("low", INT64_MIN),
                         LOG_TEXT("host", "example.test"), LOG_TEXT("none", NULL)),
              "substream closed after %d s", 3);
    assert_text(captured(), " info    substream closed after 3 s tunnel=7 "
                            "low=-9223372036854775808 host=example.test none=\"\"\n");
    capture(LOG_INFO, LOG_TEXT_FORMAT);
    log_write(LOG_WARNING, LOG_NO_FIELDS, "old listener is on");
    assert_text(captured(), " warning old listener is on\n");
}

static void test_peers_cannot_begin_a_line_or_command_a_terminal(void **state)
{
    capture(LOG_INFO, LOG_TEXT_FORMAT);
    log_write(LOG_ERROR,
              LOG_FIELDS(LOG_TEXT("a", "x\ninfo y"), LOG_TEXT("b", "\x1b[2J\x7f"),
                         LOG_TEXT("c", "say \"hi\" \\"), LOG_TEXT("d", "k=v"),
                         LOG_TEXT("e", "\xc2\x9b"), LOG_TEXT("f", "\xff\xc0\xaf"),
                         LOG_TEXT("g", "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80"),
                         LOG_TEXT("h", "\xed\xa0\x80")),
              "%s", "message\nwith\ta break");
    assert_text(captured(),
                " error   message\\nwith\\ta break a=\"x\\ninfo y\" b=\"\\x1b[2J\\x7f\" "
                "c=\"say \\\"hi\\\" \\\\\" d=\"k=v\" e=\"\\x9b\" f=\"\\xff\\xc0\\xaf\" "
                "g=\"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80\" h=\"\\xed\\xa0\\x80\"\n");
}

static json_t *json_line(const char *line)
{
    json_error_t error;
    assert_non_null(strchr(line, '\n'));
    assert_int_equal(strchr(line, '\n') - line, strlen(line) - 1);
    json_t *object = json_loads(line, 0, &error);
    if (!object)
        fail_msg("%s: %s", error.text, line);
    return object;
}

static void assert_json(json_t *object, const char *key, const char *value)
{
    assert_string_equal(json_string_value(json_object_get(object, key)), value);
}

static void test_json_line(void **state)
{
    capture(LOG_INFO, LOG_JSON_FORMAT);
    log_write(LOG_INFO,
              LOG_FIELDS(LOG_NUMBER("tunnel", -7), LOG_TEXT("a", "x\n\t\x01\x7f\"\\/"),
                         LOG_TEXT("b", "\xff!"), LOG_TEXT("c", "\xe2\x82\xac\xc2\x85")),
              "it's %s", "\"quoted\"");
    json_t *object = json_line(captured());
    assert_json(object, "level", "info");
    assert_json(object, "message", "it's \"quoted\"");
    assert_json(object, "a", "x\n\t\x01\x7f\"\\/");
    assert_json(object, "b", "\\xff!"); /* JSON has no bytes */
    assert_json(object, "c", "\xe2\x82\xac\xc2\x85");
    assert_int_equal(json_integer_value(json_object_get(object, "tunnel")), -7);
    assert_int_equal(strlen(json_string_value(json_object_get(object, "time"))), TIME_LENGTH);
    json_decref(object);
}

static void test_long_lines_are_cut_and_stay_well_formed(void **state)
{
    char *text = malloc(20001);
    for (int step = 0; step < 7; step++) {
        /* every offset of the cut within characters that take one to six bytes in the line */
        memset(text, 'x', 20000);
        for (int i = step; i < 19997; i += 7)
            memcpy(text + i, "\x01\xe2\x82\xac", 4);
        text[20000] = 0;
        capture(LOG_INFO, LOG_JSON_FORMAT);
        log_write(LOG_INFO,
                  LOG_FIELDS(LOG_TEXT("a", text), LOG_TEXT("b", text), LOG_NUMBER("c", 1)), "%s",
                  text + 15000 + step);
        const char *line = captured();
        assert_true(strlen(line) <= 4096);
        json_t *object = json_line(line);
        const char *a = json_string_value(json_object_get(object, "a"));
        assert_string_equal(a + strlen(a) - 3, "...");
        json_decref(object);
    }
    free(text);
}

static void test_levels_below_the_least_are_dropped(void **state)
{
    capture(LOG_WARNING, LOG_TEXT_FORMAT);
    log_write(LOG_INFO, LOG_NO_FIELDS, "dropped");
    assert_string_equal(captured(), "");
    assert_false(log_is_on(LOG_INFO));
    assert_true(log_is_on(LOG_WARNING));
    log_configure(LOG_DEBUG, LOG_TEXT_FORMAT);
    assert_true(log_is_on(LOG_DEBUG));
}

static void test_errno_survives(void **state)
{
    capture(LOG_INFO, LOG_TEXT_FORMAT);
    close(2);
    errno = ENOENT;
    log_write(LOG_INFO, LOG_NO_FIELDS, "nobody reads it");
    assert_int_equal(errno, ENOENT);
    (void)captured();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_line),
        cmocka_unit_test(test_peers_cannot_begin_a_line_or_command_a_terminal),
        cmocka_unit_test(test_json_line),
        cmocka_unit_test(test_long_lines_are_cut_and_stay_well_formed),
        cmocka_unit_test(test_levels_below_the_least_are_dropped),
        cmocka_unit_test(test_errno_survives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
