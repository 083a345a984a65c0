/* The text of a mail: what it says, and that nothing given to it can be another line. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/mail_text.h"
#include "net/secret.h"

static struct mail_address from = {.address = "plex@example.com", .name = "Streamplex"};

static char *write_mail(const char *to, const char *subject, const char *text)
{
    char *mail;
    size_t length;
    struct mail_text parts = {.from = &from,
                              .to = to,
                              .subject = subject,
                              .text = text,
                              .time = 1700000000,
                              .unique_id = "0123abcd"};
    assert_int_equal(0, mail_text_write(&parts, &mail, &length));
    assert_int_equal(strlen(mail), length);
    return mail;
}

/* Every line ends with CRLF and is short; there are as many in the head as there ought to be. */
static void check_lines(const char *mail, int extra)
{
    const char *end = strstr(mail, "\r\n\r\n");
    int fields = 0;
    assert_non_null(end);
    for (const char *line = mail, *next; *line; line = next) {
        size_t length = strcspn(line, "\r\n");
        assert_int_equal(0, strncmp(line + length, "\r\n", 2));
        assert_true(length <= 78);
        for (size_t i = 0; i < length; i++)
            assert_true(line[i] >= ' ' && line[i] <= '~');
        fields += line < end && line[0] != ' ';
        next = line + length + 2;
    }
    assert_int_equal(9 + extra, fields);
}

/* The body, decoded. */
static const char *body_of(const char *mail)
{
    static char text[2 * MAIL_TEXT_MAX + 1];
    size_t size = 0;
    const char *line = strstr(mail, "\r\n\r\n") + 4;
    while (*line) {
        size_t length = strcspn(line, "\r\n");
        assert_true(length <= 76);
        long got = secret_from_base64(line, length, text + size, sizeof text - 1 - size);
        assert_true(got > 0);
        size += (size_t)got;
        line += length + 2;
    }
    text[size] = 0;
    return text;
}

/* The field's words, decoded and joined. */
static const char *decode_field(const char *mail, const char *name)
{
    static char text[4096];
    size_t size = 0;
    const char *at = strstr(mail, name);
    assert_non_null(at);
    at += strlen(name);
    for (;;) {
        const char *end = strstr(at, "?=");
        assert_int_equal(0, strncmp(at, "=?UTF-8?B?", 10));
        assert_non_null(end);
        assert_true(end + 2 - at <= 75);
        long got = secret_from_base64(at + 10, (size_t)(end - at - 10), text + size,
                                      sizeof text - 1 - size);
        assert_true(got > 0);
        size += (size_t)got;
        if (strncmp(end + 2, "\r\n =?", 5) != 0)
            break;
        at = end + 5;
    }
    text[size] = 0;
    return text;
}

static void test_a_whole_mail(void **state)
{
    char *mail = write_mail("ann@example.org", "Confirm your account", "Hello\nAnn\n");
    assert_string_equal("Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n"
                        "From: Streamplex\r\n"
                        " <plex@example.com>\r\n"
                        "To: ann@example.org\r\n"
                        "Message-ID: <0123abcd@example.com>\r\n"
                        "Subject: Confirm your account\r\n"
                        "MIME-Version: 1.0\r\n"
                        "Content-Type: text/plain; charset=utf-8\r\n"
                        "Content-Transfer-Encoding: base64\r\n"
                        "Auto-Submitted: auto-generated\r\n"
                        "\r\n"
                        "SGVsbG8NCkFubg0K\r\n",
                        mail);
    check_lines(mail, 0);
    free(mail);
}

static void test_subjects_are_encoded(void **state)
{
    static const char *const subjects[] = {
        "Gr\xc3\xbc\xc3\x9f"
        "e",
        "=?UTF-8?Q?not_a_word?=",
        " leading",
        "trailing ",
        "a subject of more than sixty characters, which is one line of a mail's head at the most",
        "\xf0\x9f\x90\x9f\xf0\x9f\x90\x9f\xf0\x9f\x90\x9f\xf0\x9f\x90\x9f\xf0\x9f\x90\x9f"
        "\xf0\x9f\x90\x9f\xf0\x9f\x90\x9f\xf0\x9f\x90\x9f\xf0\x9f\x90\x9f\xf0\x9f\x90\x9f"
        "\xf0\x9f\x90\x9f\xf0\x9f\x90\x9f\xf0\x9f\x90\x9f\xf0\x9f\x90\x9f\xf0\x9f\x90\x9f",
    };
    for (size_t i = 0; i < sizeof subjects / sizeof subjects[0]; i++) {
        char *mail = write_mail("ann@example.org", subjects[i], "x");
        assert_string_equal(subjects[i], decode_field(mail, "Subject: "));
        check_lines(mail, 0);
        free(mail);
    }
    char *mail = write_mail("ann@example.org", "", "");
    assert_non_null(strstr(mail, "\r\nSubject: \r\n"));
    free(mail);
}

static void test_characters_are_not_torn(void **state)
{
    char subject[128] = "";
    for (int i = 0; i < 30; i++)
        strcat(subject, "\xe2\x82\xac"); /* with what comes first, none ends where a word does */
    memmove(subject + 1, subject, strlen(subject) + 1);
    subject[0] = 'x';
    char *mail = write_mail("ann@example.org", subject, "x");
    const char *second = strstr(mail, "\r\n =?UTF-8?B?");
    assert_non_null(second);
    assert_int_equal(0, strncmp(second + 13, "4oKs", 4)); /* begins with a whole one */
    free(mail);
}

static void test_no_line_can_be_smuggled_in(void **state)
{
    static const char *const subjects[] = {"a\r\nBcc: eve@example.com", "a\nBcc: eve@example.com",
                                           "a\r\n\r\nbody", "a\rb", "\x01\x1b[2J\x7f"};
    for (size_t i = 0; i < sizeof subjects / sizeof subjects[0]; i++) {
        char *mail = write_mail("ann@example.org", subjects[i], "x\r\n.\r\nRCPT TO:<eve@x>\r\n");
        check_lines(mail, 0);
        assert_null(strstr(mail, "Bcc"));
        assert_null(strpbrk(decode_field(mail, "Subject: "), "\r\n\x1b"));
        free(mail);
    }
    char *mail = write_mail("ann@example.org", "bad \xff\xc3 bytes", "x");
    assert_string_equal("bad    bytes", decode_field(mail, "Subject: "));
    free(mail);
}

static void test_recipients_that_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "@",
        "ann",
        "ann@",
        "@example.com",
        "ann@example.com\r\nBcc: eve@example.com",
        "ann@example.com,eve@example.com",
        "ann@example.com eve@example.com",
        "<ann@example.com>",
        "a@b@c",
        "an n@example.com",
        "\"ann\"@example.com",
        "ann@exa_mple.com",
        "ann@.com",
        "ann@example..com",
        "ann@example.com.",
        ".ann@example.com",
        "ann.@example.com",
        "a..b@example.com",
        "ann@[127.0.0.1]",
        "\xc3\xa4nn@example.com",
        "ann@ex\xc3\xa4mple.com",
        "ann@example.com\n",
        "ann(comment)@example.com",
        "ann@example.com>",
        "ann;b@example.com",
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx@example.com"};
    static const char *const good[] = {"ann@example.com", "a.b+c=d@sub.example.com",
                                       "root@localhost", "o'hara@example.com",
                                       "{x}|y~!#$%&*/?^_`@xn--mnchen-3ya.de"};
    char *text;
    size_t length;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct mail_text mail = {
            .from = &from, .to = bad[i], .subject = "s", .text = "t", .unique_id = "u"};
        assert_false(mail_is_address(bad[i]));
        assert_int_equal(-EINVAL, mail_text_write(&mail, &text, &length));
    }
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(mail_is_address(good[i]));
    char longest[300] = "a@";
    memset(longest + 2, 'b', 252);
    assert_true(mail_is_address(longest));
    longest[254] = 'b';
    assert_false(mail_is_address(longest));
}

static void test_senders(void **state)
{
    struct mail_address parsed = {.name = "untouched"};
    static const char *const bad[] = {"",
                                      "ann",
                                      "Ann <>",
                                      "Ann <ann@example.com",
                                      "<ann@b> Ann",
                                      "Ann\r\n <ann@example.com>",
                                      "Ann <ann@example.com\n>",
                                      "A\"nn <ann@example.com>",
                                      "\xff <ann@example.com>",
                                      ">",
                                      "<"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(-1, mail_address_parse(bad[i], &parsed));
        assert_string_equal("untouched", parsed.name);
    }
    assert_int_equal(0, mail_address_parse("ann@example.com", &parsed));
    assert_string_equal("ann@example.com", parsed.address);
    assert_string_equal("", parsed.name);
    assert_int_equal(0, mail_address_parse("<ann@example.com>", &parsed));
    assert_string_equal("", parsed.name);
    assert_int_equal(0, mail_address_parse("\"Ann, of B\" <ann@example.com>", &parsed));
    assert_string_equal("Ann, of B", parsed.name);
    assert_int_equal(0, mail_address_parse("\xc3\x84nn B <ann@example.com>", &parsed));
    struct mail_address was = from;
    from = parsed;
    char *mail = write_mail("bob@example.com", "s", "t");
    assert_string_equal("\xc3\x84nn B", decode_field(mail, "From: "));
    assert_non_null(strstr(mail, "?=\r\n <ann@example.com>\r\nTo: "));
    check_lines(mail, 0);
    free(mail);
    from.name[0] = 0;
    mail = write_mail("bob@example.com", "s", "t");
    assert_non_null(strstr(mail, "\r\nFrom: ann@example.com\r\n"));
    free(mail);
    from = was;
}

static void test_bodies(void **state)
{
    char *mail = write_mail("ann@example.org", "s", "a\nb\r\nc\rd \xc3\xa4\n\n.\n");
    assert_string_equal("a\r\nb\r\nc\rd \xc3\xa4\r\n\r\n.\r\n", body_of(mail));
    free(mail);
    static char longest[MAIL_TEXT_MAX + 2];
    memset(longest, '\n', MAIL_TEXT_MAX);
    mail = write_mail("ann@example.org", "s", longest);
    check_lines(mail, 0);
    assert_int_equal(2 * MAIL_TEXT_MAX, strlen(body_of(mail)));
    free(mail);
    char *text;
    size_t length;
    longest[MAIL_TEXT_MAX] = 'x';
    struct mail_text too_long = {
        .from = &from, .to = "ann@example.org", .subject = "s", .text = longest, .unique_id = "u"};
    assert_int_equal(-EINVAL, mail_text_write(&too_long, &text, &length));
    longest[MAIL_SUBJECT_MAX + 1] = 0;
    too_long.subject = longest;
    assert_int_equal(-EINVAL, mail_text_write(&too_long, &text, &length));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_whole_mail),
        cmocka_unit_test(test_subjects_are_encoded),
        cmocka_unit_test(test_characters_are_not_torn),
        cmocka_unit_test(test_no_line_can_be_smuggled_in),
        cmocka_unit_test(test_recipients_that_are_refused),
        cmocka_unit_test(test_senders),
        cmocka_unit_test(test_bodies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
