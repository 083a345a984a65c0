#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "edge/proxy_header.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

/* From memory of the exact size: a read beyond it is seen. */
static enum proxy_result parse(const void *bytes, size_t length, size_t *ret_size,
                               union address *ret_source, union address *ret_target)
{
    uint8_t *exact = malloc(length ? length : 1);
    memcpy(exact, bytes, length);
    enum proxy_result result = proxy_header_parse(exact, length, ret_size, ret_source, ret_target);
    free(exact);
    return result;
}

static void expect_address(const union address *address, const char *text)
{
    char buffer[ADDRESS_TEXT_MAX];
    if (!*text)
        assert_int_equal(address->any.sa_family, 0);
    else
        assert_string_equal(address_format(address, buffer), text);
}

/* Whole, byte by byte, and with something after it. */
static void expect_found(const void *bytes, size_t length, const char *source, const char *target)
{
    uint8_t more[PROXY_HEADER_MAX + 8] = {0};
    union address from, to;
    size_t size = 4711;
    for (size_t cut = 0; cut < length; cut++)
        if (parse(bytes, cut, &size, &from, &to) != PROXY_MORE)
            fail_msg("decided after %zu of %zu bytes", cut, length);
    assert_int_equal(size, 4711);
    memcpy(more, bytes, length);
    for (size_t extra = 0; extra <= 8; extra += 4) {
        assert_int_equal(parse(more, length + extra, &size, &from, &to), PROXY_FOUND);
        assert_int_equal(size, length);
        expect_address(&from, source);
        expect_address(&to, target);
    }
}

static void expect(const void *bytes, size_t length, enum proxy_result expected)
{
    union address from, to;
    size_t size = 4711;
    enum proxy_result result = PROXY_MORE;
    for (size_t cut = 0; cut <= length; cut++) {
        enum proxy_result next = parse(bytes, cut, &size, &from, &to);
        if (result != PROXY_MORE)
            assert_int_equal(next, result); /* what was decided stays so */
        result = next;
    }
    if (result != expected)
        fail_msg("%d, not %d: %.*s", result, expected, (int)length, (const char *)bytes);
    assert_int_equal(size, 4711);
}

#define FOUND(literal, source, target) expect_found(literal, sizeof(literal) - 1, source, target)
#define BAD(literal)                   expect(literal, sizeof(literal) - 1, PROXY_BAD)
#define ABSENT(literal)                expect(literal, sizeof(literal) - 1, PROXY_ABSENT)
#define MORE(literal)                  expect(literal, sizeof(literal) - 1, PROXY_MORE)

static void test_version_1_is_read(void **state)
{
    (void)state;
    FOUND("PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n", "192.0.2.1:56324", "198.51.100.7:443");
    FOUND("PROXY TCP6 2001:db8::1 ::1 0 65535\r\n", "[2001:db8::1]:0", "[::1]:65535");
    FOUND("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
          "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
          "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
          "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
    FOUND("PROXY UNKNOWN\r\n", "", "");
    FOUND("PROXY UNKNOWN what ever 1\r\n", "", "");
}

static void test_version_1_is_read_strictly(void **state)
{
    (void)state;
    BAD("PROXY \r\n");
    BAD("PROXY TCP4\r\n");
    BAD("PROXY TCP5 192.0.2.1 198.51.100.7 1 2\r\n");
    BAD("PROXY UNKNOWNS\r\n");
    BAD("PROXY UDP4 192.0.2.1 198.51.100.7 1 2\r\n");
    BAD("PROXY TCP4 192.0.2.1 198.51.100.7 1\r\n");
    BAD("PROXY TCP4 192.0.2.1 198.51.100.7 1 2 3\r\n");
    BAD("PROXY TCP4 192.0.2.1 198.51.100.7 1 2 \r\n");
    BAD("PROXY TCP4  192.0.2.1 198.51.100.7 1 2\r\n");
    BAD("PROXY TCP4 192.0.2.1 198.51.100.7 1 65536\r\n");
    BAD("PROXY TCP4 192.0.2.1 198.51.100.7 01 2\r\n");
    BAD("PROXY TCP4 192.0.2.1 198.51.100.7 -1 2\r\n");
    BAD("PROXY TCP4 192.0.2.1 198.51.100.7 1 99999999999\r\n");
    BAD("PROXY TCP4 192.0.2.256 198.51.100.7 1 2\r\n");
    BAD("PROXY TCP4 192.0.2 198.51.100.7 1 2\r\n");
    BAD("PROXY TCP4 ::1 ::1 1 2\r\n");
    BAD("PROXY TCP6 192.0.2.1 198.51.100.7 1 2\r\n");
    BAD("PROXY TCP6 fe80::1%1 ::1 1 2\r\n");
    BAD("PROXY TCP4 192.0.2.1 198.51.100.7 1 2\n");
    BAD("PROXY TCP4 192.0.2.1 198.51.100.7 1 2\r\r\n");
    BAD("PROXY TCP4 192.0.2.1\t198.51.100.7 1 2\r\n");
    BAD("PROXY UNKNOWN \x80\r\n");
    char longest[108] = "PROXY UNKNOWN ";
    memset(longest + 14, 'x', sizeof longest - 14);
    expect(longest, 106, PROXY_MORE);
    expect(longest, 107, PROXY_BAD);
    memcpy(longest + 105, "\r\n", 2);
    expect_found(longest, 107, "", "");
}

static void test_version_2_is_read(void **state)
{
    (void)state;
    FOUND(SIGNATURE "\x21\x11\0\x0c\xc0\0\2\1\xc6\x33\x64\7\xdc\4\1\xbb", "192.0.2.1:56324",
          "198.51.100.7:443");
    FOUND(SIGNATURE "\x21\x11\0\x10\xc0\0\2\1\xc6\x33\x64\7\xdc\4\1\xbb\4\0\1\0", "192.0.2.1:56324",
          "198.51.100.7:443");
    FOUND(SIGNATURE "\x21\x21\0\x24\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
                    "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\2\xdc\4\1\xbb",
          "[2001:db8::1]:56324", "[2001:db8::2]:443");
    FOUND(SIGNATURE "\x20\0\0\0", "", "");
    FOUND(SIGNATURE "\x20\x11\0\3abc", "", ""); /* LOCAL: whatever it says else */
    FOUND(SIGNATURE "\x21\0\0\1a", "", "");
    uint8_t local[16 + 216] = SIGNATURE "\x21\x31\0\xd8/run/a";
    expect_found(local, sizeof local, "", "");
}

static void test_version_2_is_read_strictly(void **state)
{
    (void)state;
    BAD(SIGNATURE "\x11");
    BAD(SIGNATURE "\x22");
    BAD(SIGNATURE "\x21\x11\0\x0b");             /* shorter than its addresses */
    BAD(SIGNATURE "\x21\x21\0\x23");             /* likewise */
    BAD(SIGNATURE "\x21\x31\0\xd7");             /* likewise */
    BAD(SIGNATURE "\x21\x12\0\x0c\0\0\0\0\0\0"); /* datagrams don't come in a stream */
    BAD(SIGNATURE "\x21\x41\0\x24");
    BAD(SIGNATURE "\x21\x11\x02\x19"); /* one byte beyond PROXY_HEADER_MAX */
    MORE(SIGNATURE "\x21\x11\x02\x18");
}

static void test_other_beginnings_are_told(void **state)
{
    (void)state;
    ABSENT("GET / HTTP/1.1\r\n");
    ABSENT("PROX/");
    ABSENT("POST /");
    ABSENT("\x16\3\1");
    ABSENT("\r\n\r\nGET");
    MORE("PROXY");
    MORE("\r\n\r\n");
    MORE("");
}

static union address from_text(const char *text)
{
    union address address = {0};
    if (*text)
        assert_int_equal(address_parse(text, &address), 0);
    return address;
}

static void expect_written(enum proxy_version version, const char *source, const char *target,
                           const void *expected, size_t length)
{
    uint8_t header[PROXY_HEADER_MAX];
    union address from = from_text(source), to = from_text(target);
    assert_int_equal(proxy_header_write(version, &from, &to, header), length);
    assert_memory_equal(header, expected, length);
}

#define WRITTEN(version, source, target, literal)                                                  \
    expect_written(version, source, target, literal, sizeof(literal) - 1)

static void test_version_1_is_written(void **state)
{
    (void)state;
    WRITTEN(PROXY_V1, "192.0.2.1:56324", "198.51.100.7:443",
            "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n");
    WRITTEN(PROXY_V1, "[2001:db8::1]:1", "[::1]:2", "PROXY TCP6 2001:db8::1 ::1 1 2\r\n");
    WRITTEN(PROXY_V1, "[fe80::1%1]:1", "[::1]:2", "PROXY TCP6 fe80::1 ::1 1 2\r\n");
    WRITTEN(PROXY_V1, "192.0.2.1:1", "[::1]:2", "PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n");
    WRITTEN(PROXY_V1, "[::ffff:192.0.2.1]:1", "192.0.2.2:2",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n");
    WRITTEN(PROXY_V1, "", "192.0.2.2:2", "PROXY UNKNOWN\r\n");
    WRITTEN(PROXY_NONE, "192.0.2.1:1", "192.0.2.2:2", "");
}

static void test_version_2_is_written(void **state)
{
    (void)state;
    WRITTEN(PROXY_V2, "192.0.2.1:56324", "198.51.100.7:443",
            SIGNATURE "\x21\x11\0\x0c\xc0\0\2\1\xc6\x33\x64\7\xdc\4\1\xbb");
    WRITTEN(PROXY_V2, "[2001:db8::1]:56324", "[2001:db8::2]:443",
            SIGNATURE "\x21\x21\0\x24\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
                      "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\2\xdc\4\1\xbb");
    WRITTEN(PROXY_V2, "[2001:db8::1]:56324", "192.0.2.1:443",
            SIGNATURE "\x21\x21\0\x24\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
                      "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\1\xdc\4\1\xbb");
    WRITTEN(PROXY_V2, "192.0.2.1:56324", "", SIGNATURE "\x20\0\0\0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_version_1_is_read),
        cmocka_unit_test(test_version_1_is_read_strictly),
        cmocka_unit_test(test_version_2_is_read),
        cmocka_unit_test(test_version_2_is_read_strictly),
        cmocka_unit_test(test_other_beginnings_are_told),
        cmocka_unit_test(test_version_1_is_written),
        cmocka_unit_test(test_version_2_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
