/* The look into a ClientHello, with those that openssl, curl and gnutls-cli sent
 * (fuzz/client_hello.in). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "edge/hello.h"

#define NAME "shy-bush-6765.edge.localhost"

struct recorded {
    uint8_t bytes[HELLO_MAX + 1024];
    size_t length;
};

static void load(const char *file, struct recorded *recorded)
{
    char path[512];
    snprintf(path, sizeof path, "%s/fuzz/client_hello.in/%s", getenv("PLEX_SOURCE_ROOT"), file);
    FILE *stream = fopen(path, "rb");
    if (!stream)
        fail_msg("%s isn't there", path);
    recorded->length = fread(recorded->bytes, 1, sizeof recorded->bytes, stream);
    fclose(stream);
    assert_true(recorded->length > 0);
}

/* From memory of the exact size: a read beyond it is seen. */
static enum hello_result parse(const uint8_t *bytes, size_t length, struct hello *ret_hello)
{
    uint8_t *exact = malloc(length ? length : 1);
    memcpy(exact, bytes, length);
    enum hello_result result = hello_parse(exact, length, ret_hello);
    free(exact);
    return result;
}

static void expect(const char *file, const char *name, bool has_tunnel_alpn, bool has_acme_alpn)
{
    struct recorded recorded;
    struct hello hello;
    load(file, &recorded);
    for (size_t length = 0; length < recorded.length; length++) {
        memset(&hello, 0x55, sizeof hello);
        if (parse(recorded.bytes, length, &hello) != HELLO_MORE)
            fail_msg("%s: decided after %zu of %zu bytes", file, length, recorded.length);
        assert_int_equal(hello.name[0], 0x55);
    }
    for (size_t more = 0; more < 3; more++) { /* what comes after it plays no part */
        memcpy(recorded.bytes + recorded.length, "xyz", 3);
        if (parse(recorded.bytes, recorded.length + more, &hello) != HELLO_FOUND)
            fail_msg("%s isn't found", file);
        assert_string_equal(hello.name, name);
        assert_int_equal(hello.has_tunnel_alpn, has_tunnel_alpn);
        assert_int_equal(hello.has_acme_alpn, has_acme_alpn);
    }
}

static void test_recorded_hellos_give_their_names(void **state)
{
    (void)state;
    expect("openssl_tls13", NAME, false, false);
    expect("openssl_tls12", NAME, false, false);
    expect("openssl_many_groups", NAME, false, false);
    expect("curl", NAME, false, false);
    expect("curl_tls12", NAME, false, false);
    expect("gnutls", NAME, false, false);
    expect("gnutls_tls12", NAME, false, false);
}

static void test_recorded_hellos_without_a_name_have_none(void **state)
{
    (void)state;
    expect("openssl_tls13_no_name", "", false, false);
    expect("openssl_tls12_no_name", "", false, false);
    expect("curl_address", "", false, false);
    expect("gnutls_no_name", "", false, false);
}

static void test_offered_protocols_are_seen(void **state)
{
    (void)state;
    expect("openssl_tls13_alpn", NAME, true, false);
    expect("gnutls_alpn", NAME, true, false);
    expect("openssl_acme", NAME, false, true);
}

static void test_a_hello_may_span_records(void **state)
{
    (void)state;
    expect("split_over_records", NAME, true, false);
    expect("split_bytes", NAME, true, false);
}

static void test_a_broken_byte_never_reads_beyond(void **state)
{
    (void)state;
    static const char *const files[] = {"openssl_tls13_alpn", "gnutls", "split_over_records"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct recorded recorded;
        struct hello hello;
        load(files[i], &recorded);
        for (size_t at = 0; at < recorded.length; at++) {
            uint8_t byte = recorded.bytes[at];
            static const uint8_t flips[] = {0x01, 0x80, 0xff};
            for (size_t j = 0; j < sizeof flips; j++) {
                recorded.bytes[at] = byte ^ flips[j];
                if (parse(recorded.bytes, recorded.length, &hello) == HELLO_FOUND)
                    assert_non_null(memchr(hello.name, 0, sizeof hello.name));
            }
            recorded.bytes[at] = byte;
        }
    }
}

/* --- made by hand --------------------------------------------------------- */

static size_t put_number(uint8_t *at, size_t number, size_t width)
{
    for (size_t i = 0; i < width; i++)
        at[i] = (uint8_t)(number >> 8 * (width - 1 - i));
    return width;
}

/* A record with a ClientHello of these extensions; returns its size. */
static size_t make(uint8_t *out, const void *extensions, size_t length)
{
    uint8_t *at = out + 5 + 4;
    *at++ = 3;
    *at++ = 3;
    memset(at, 7, 32);
    at += 32;
    *at++ = 0;
    at += put_number(at, 2, 2);
    at += put_number(at, 0x1301, 2);
    *at++ = 1;
    *at++ = 0;
    at += put_number(at, length, 2);
    memcpy(at, extensions, length);
    at += length;
    size_t message = (size_t)(at - out) - 9;
    out[0] = 22;
    out[1] = 3;
    out[2] = 1;
    put_number(out + 3, message + 4, 2);
    out[5] = 1;
    put_number(out + 6, message, 3);
    return (size_t)(at - out);
}

static enum hello_result parse_extensions(const void *extensions, size_t length,
                                          struct hello *ret_hello)
{
    static uint8_t bytes[70000];
    size_t size = make(bytes, extensions, length);
    return parse(bytes, size, ret_hello);
}

#define PARSE(literal, ret_hello) parse_extensions(literal, sizeof(literal) - 1, ret_hello)

static void test_names_are_lower_case_without_a_final_dot(void **state)
{
    (void)state;
    struct hello hello;
    assert_int_equal(PARSE("\0\0\0\x0a\0\x08\0\0\x05"
                           "A.bZ.",
                           &hello),
                     HELLO_FOUND);
    assert_string_equal(hello.name, "a.bz");
    /* another type of name beside it */
    assert_int_equal(PARSE("\0\0\0\x0a\0\x08\x01\0\x01x\0\0\x01y", &hello), HELLO_FOUND);
    assert_string_equal(hello.name, "y");
}

static void test_malformed_hellos_are_bad(void **state)
{
    (void)state;
    struct hello hello;
    assert_int_equal(PARSE("\0\0\0\0", &hello), HELLO_BAD);             /* no list */
    assert_int_equal(PARSE("\0\0\0\2\0\0", &hello), HELLO_BAD);         /* an empty list */
    assert_int_equal(PARSE("\0\0\0\5\0\3\0\0\0", &hello), HELLO_BAD);   /* an empty name */
    assert_int_equal(PARSE("\0\0\0\6\0\4\0\0\1.", &hello), HELLO_BAD);  /* only a dot */
    assert_int_equal(PARSE("\0\0\0\6\0\4\0\0\1\0", &hello), HELLO_BAD); /* NUL in it */
    assert_int_equal(PARSE("\0\0\0\6\0\4\0\0\1 ", &hello), HELLO_BAD);
    assert_int_equal(PARSE("\0\0\0\6\0\4\0\0\2a", &hello), HELLO_BAD); /* too long for its list */
    assert_int_equal(PARSE("\0\0\0\6\0\3\0\0\1a", &hello), HELLO_BAD); /* a byte after the list */
    assert_int_equal(PARSE("\0\0\0\x0a\0\x08\0\0\1a\0\0\1b", &hello), HELLO_BAD); /* two hosts */
    assert_int_equal(PARSE("\0\0\0\6\0\4\0\0\1a\0\0\0\6\0\4\0\0\1b", &hello), HELLO_BAD);
    assert_int_equal(PARSE("\0\x10\0\3\0\1\0", &hello), HELLO_BAD); /* an empty protocol */
    assert_int_equal(PARSE("\0\x10\0\4\0\2\1h\0\x10\0\4\0\2\1h", &hello), HELLO_BAD);
    assert_int_equal(PARSE("\0\x33\0\2\0", &hello), HELLO_BAD); /* longer than what there is */
    assert_int_equal(PARSE("\0\x33\0\1\0", &hello), HELLO_FOUND);
    assert_string_equal(hello.name, "");
}

static void test_what_is_no_tls_is_bad_at_once(void **state)
{
    (void)state;
    struct hello hello;
    struct recorded recorded;
    assert_int_equal(parse((const uint8_t *)"G", 1, &hello), HELLO_BAD);
    assert_int_equal(parse((const uint8_t *)"\x16\x02", 2, &hello), HELLO_BAD);
    assert_int_equal(parse((const uint8_t *)"\x16\3\1\0\0", 5, &hello), HELLO_BAD);
    assert_int_equal(parse((const uint8_t *)"\x16\3\1\x40\1", 5, &hello), HELLO_BAD);
    assert_int_equal(parse((const uint8_t *)"\x16\3\1\0\x20\2", 6, &hello), HELLO_BAD);
    load("sslv2", &recorded);
    assert_int_equal(parse(recorded.bytes, recorded.length, &hello), HELLO_BAD);
    load("no_tls", &recorded);
    assert_int_equal(parse(recorded.bytes, recorded.length, &hello), HELLO_BAD);
}

static void test_a_hello_beyond_the_cap_is_bad(void **state)
{
    (void)state;
    static uint8_t extensions[HELLO_MAX];
    static uint8_t bytes[2 * HELLO_MAX];
    struct hello hello;
    size_t room = HELLO_MAX - make(bytes, extensions, 0); /* for what fills it to the last byte */
    put_number(extensions, 0x1500, 2);
    put_number(extensions + 2, room - 4, 2);
    assert_int_equal(parse_extensions(extensions, room, &hello), HELLO_FOUND);
    put_number(extensions + 2, room - 3, 2);
    assert_int_equal(parse_extensions(extensions, room + 1, &hello), HELLO_BAD);
    /* told by its length already */
    assert_int_equal(parse((const uint8_t *)"\x16\3\1\0\x20\1\0\x40\0", 9, &hello), HELLO_BAD);
    /* in records of one byte it is longer than we read, though it isn't itself */
    size_t length = 0;
    for (size_t i = 0; length + 6 <= sizeof bytes; i++) {
        memcpy(bytes + length, "\x16\3\1\0\1", 5);
        bytes[length + 5] = i == 0 ? 1 : i == 2 ? 0x20 : 0; /* a message of 8 KiB */
        length += 6;
    }
    assert_int_equal(parse(bytes, HELLO_MAX - 1, &hello), HELLO_MORE);
    assert_int_equal(parse(bytes, HELLO_MAX, &hello), HELLO_BAD);
    assert_int_equal(parse(bytes, length, &hello), HELLO_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded_hellos_give_their_names),
        cmocka_unit_test(test_recorded_hellos_without_a_name_have_none),
        cmocka_unit_test(test_offered_protocols_are_seen),
        cmocka_unit_test(test_a_hello_may_span_records),
        cmocka_unit_test(test_a_broken_byte_never_reads_beyond),
        cmocka_unit_test(test_names_are_lower_case_without_a_final_dot),
        cmocka_unit_test(test_malformed_hellos_are_bad),
        cmocka_unit_test(test_what_is_no_tls_is_bad_at_once),
        cmocka_unit_test(test_a_hello_beyond_the_cap_is_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
