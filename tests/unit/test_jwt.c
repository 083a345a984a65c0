/* Login tokens: what is made comes back, and nothing else is let in. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/jwt.h"
#include "net/secret.h"

#define NOW    UINT64_C(1700000000)
#define HEADER "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"

static const unsigned char key[32] = "0123456789abcdef0123456789abcdef";
static const unsigned char other_key[32] = "0123456789abcdef0123456789abcdeF";

static const struct jwt_claims claims = {
    .user_id = 7, .issued = NOW, .expires = NOW + 18000, .gen = 3, .jti = "abcDEF-_09"};

/* Of an allocation of its exact size; refused ones leave the claims alone. */
static enum jwt_error parse_at(const char *text, size_t length, uint64_t now,
                               struct jwt_claims *ret_claims)
{
    static const struct jwt_claims untouched = {.user_id = 99, .jti = "untouched"};
    char *exact = malloc(length ? length : 1);
    memcpy(exact, text, length);
    *ret_claims = untouched;
    enum jwt_error error = jwt_parse(key, exact, length, now, ret_claims);
    if (error != JWT_OK)
        assert_memory_equal(&untouched, ret_claims, sizeof untouched);
    free(exact);
    return error;
}

static enum jwt_error parse(const char *text)
{
    struct jwt_claims parsed;
    return parse_at(text, strlen(text), NOW, &parsed);
}

/* A token of any header and payload, rightly signed. */
static char *sign(const char *header, const char *payload)
{
    static char text[16384];
    unsigned char digest[32];
    size_t length = secret_base64url(header, strlen(header), text);
    text[length++] = '.';
    length += secret_base64url(payload, strlen(payload), text + length);
    assert_int_equal(0, secret_hmac(key, 32, text, length, digest));
    text[length++] = '.';
    secret_base64url(digest, 32, text + length);
    return text;
}

static void test_what_is_made_comes_back(void **state)
{
    char text[JWT_MAX];
    struct jwt_claims parsed;
    int length = jwt_make(key, &claims, text);
    assert_int_equal(strlen(text), length);
    assert_int_equal(0, strncmp(text, "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.", 37));
    assert_int_equal(JWT_OK, parse_at(text, (size_t)length, NOW, &parsed));
    assert_int_equal(7, parsed.user_id);
    assert_int_equal(NOW, parsed.issued);
    assert_int_equal(NOW + 18000, parsed.expires);
    assert_int_equal(3, parsed.gen);
    assert_string_equal("abcDEF-_09", parsed.jti);
    /* and is what others write, too */
    assert_string_equal(sign(HEADER, "{\"user_id\":7,\"iat\":1700000000,\"exp\":1700018000,"
                                     "\"gen\":3,\"jti\":\"abcDEF-_09\"}"),
                        text);
}

static void test_the_vector_of_the_standard(void **state)
{
    /* RFC 7515, A.1 has another header, so it isn't ours, whatever the key */
    assert_int_equal(
        JWT_BAD,
        parse("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
              "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
              "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"));
}

static void test_largest_claims(void **state)
{
    char text[JWT_MAX];
    struct jwt_claims parsed, largest = {.user_id = INT64_MAX,
                                         .issued = 0,
                                         .expires = INT64_MAX,
                                         .gen = UINT32_MAX,
                                         .jti = "~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~"};
    int length = jwt_make(key, &largest, text);
    assert_true(length > 0 && length < JWT_MAX);
    assert_int_equal(JWT_OK, parse_at(text, (size_t)length, NOW, &parsed));
    assert_int_equal(INT64_MAX, parsed.user_id);
    assert_int_equal(INT64_MAX, parsed.expires);
    assert_int_equal(UINT32_MAX, parsed.gen);
    assert_string_equal(largest.jti, parsed.jti);
}

static void test_claims_that_cannot_be_made(void **state)
{
    static const char *const jtis[] = {"", "a\"b", "a\\b", "a b", "a\nb", "\xc3\xa4"};
    char text[JWT_MAX];
    for (size_t i = 0; i < sizeof jtis / sizeof jtis[0]; i++) {
        struct jwt_claims bad = claims;
        snprintf(bad.jti, sizeof bad.jti, "%s", jtis[i]);
        assert_int_equal(-1, jwt_make(key, &bad, text));
    }
    struct jwt_claims bad = claims;
    memset(bad.jti, 'x', sizeof bad.jti);
    assert_int_equal(-1, jwt_make(key, &bad, text));
    bad = claims;
    bad.user_id = UINT64_MAX;
    assert_int_equal(-1, jwt_make(key, &bad, text));
    bad = claims;
    bad.expires = UINT64_MAX;
    assert_int_equal(-1, jwt_make(key, &bad, text));
}

static void test_time(void **state)
{
    char text[JWT_MAX];
    struct jwt_claims parsed;
    size_t length = (size_t)jwt_make(key, &claims, text);
    assert_int_equal(JWT_OK, parse_at(text, length, NOW + 17999, &parsed));
    assert_int_equal(JWT_EXPIRED, parse_at(text, length, NOW + 18000, &parsed));
    assert_int_equal(JWT_EXPIRED, parse_at(text, length, UINT64_MAX, &parsed));
    assert_int_equal(JWT_OK, parse_at(text, length, NOW - 60, &parsed));
    assert_int_equal(JWT_FUTURE, parse_at(text, length, NOW - 61, &parsed));
    assert_int_equal(JWT_FUTURE, parse_at(text, length, 0, &parsed));
}

static void test_other_algorithms(void **state)
{
    static const char *const headers[] = {
        "{\"alg\":\"none\",\"typ\":\"JWT\"}",
        "{\"alg\":\"None\",\"typ\":\"JWT\"}",
        "{\"alg\":\"HS512\",\"typ\":\"JWT\"}",
        "{\"alg\":\"RS256\",\"typ\":\"JWT\"}",
        "{\"typ\":\"JWT\",\"alg\":\"HS256\"}",
        "{\"alg\": \"HS256\",\"typ\":\"JWT\"}",
        "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"../key\"}",
        "{\"alg\":\"HS256\"}",
        "{}",
        "",
    };
    static const char payload[] =
        "{\"user_id\":7,\"iat\":1700000000,\"exp\":1700018000,\"gen\":3,\"jti\":\"a\"}";
    assert_int_equal(JWT_OK, parse(sign(HEADER, payload)));
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        char *text = sign(headers[i], payload);
        assert_int_equal(JWT_BAD, parse(text));
        *(strrchr(text, '.') + 1) = 0; /* and without a signature */
        assert_int_equal(JWT_BAD, parse(text));
    }
    char *text = sign(HEADER, payload);
    *(strrchr(text, '.') + 1) = 0;
    assert_int_equal(JWT_BAD, parse(text));
}

static void test_truncated_anywhere(void **state)
{
    char text[JWT_MAX];
    struct jwt_claims parsed;
    int length = jwt_make(key, &claims, text);
    for (int i = 0; i < length; i++)
        assert_int_not_equal(JWT_OK, parse_at(text, (size_t)i, NOW, &parsed));
    for (int i = 1; i < length; i++)
        assert_int_not_equal(JWT_OK, parse_at(text + i, (size_t)(length - i), NOW, &parsed));
}

static void test_changed_anywhere(void **state)
{
    char text[JWT_MAX + 1];
    struct jwt_claims parsed;
    int length = jwt_make(key, &claims, text);
    for (int i = 0; i < length; i++) {
        char was = text[i];
        for (int bit = 0; bit < 8; bit++) {
            text[i] = (char)(was ^ (1 << bit));
            assert_int_not_equal(JWT_OK, parse_at(text, (size_t)length, NOW, &parsed));
        }
        text[i] = was;
    }
    static const char added[] = {'A', '.', '=', ' ', '\n', 0};
    for (size_t i = 0; i < sizeof added; i++) {
        text[length] = added[i];
        assert_int_not_equal(JWT_OK, parse_at(text, (size_t)length + 1, NOW, &parsed));
    }
}

static void test_forged(void **state)
{
    char text[JWT_MAX];
    struct jwt_claims parsed;
    int length = jwt_make(other_key, &claims, text);
    assert_int_equal(JWT_FORGED, parse_at(text, (size_t)length, NOW, &parsed));
    /* an expired one of somebody else is forged, not expired: claims aren't looked at */
    assert_int_equal(JWT_FORGED, parse_at(text, (size_t)length, NOW + 18000, &parsed));
    memset(text + length - 43, 'A', 43);
    assert_int_equal(JWT_FORGED, parse_at(text, (size_t)length, NOW, &parsed));
}

static void test_payloads_of_wrong_kinds(void **state)
{
#define REST "\"iat\":1700000000,\"exp\":1700018000,\"gen\":3,\"jti\":\"a\"}"
    static const char *const payloads[] = {
        "",
        " ",
        "null",
        "7",
        "[]",
        "{}",
        "\"text\"",
        "{",
        "{\"user_id\":7," REST "x",
        "{" REST,                                 /* none */
        "{\"user_id\":\"7\"," REST,               /* a string */
        "{\"user_id\":7.0," REST,                 /* a real */
        "{\"user_id\":-7," REST,                  /* negative */
        "{\"user_id\":null," REST,                /* null */
        "{\"user_id\":[7]," REST,                 /* a list */
        "{\"user_id\":true," REST,                /* a truth */
        "{\"user_id\":9223372036854775808," REST, /* too large */
        "{\"user_id\":7,\"user_id\":7," REST,     /* twice */
        "{\"user_id\":7,\"x\":1,\"x\":2," REST,   /* something else twice */
        "{\"user_id\":7,\"exp\":1700018000,\"gen\":3,\"jti\":\"a\"}",
        "{\"user_id\":7,\"iat\":1700000000,\"gen\":3,\"jti\":\"a\"}",
        "{\"user_id\":7,\"iat\":1700000000,\"exp\":1700018000,\"jti\":\"a\"}",
        "{\"user_id\":7,\"iat\":1700000000,\"exp\":1700018000,\"gen\":3}",
        "{\"user_id\":7,\"iat\":1700000000,\"exp\":1700018000,\"gen\":4294967296,\"jti\":\"a\"}",
        "{\"user_id\":7,\"iat\":1700000000,\"exp\":1700018000,\"gen\":-1,\"jti\":\"a\"}",
        "{\"user_id\":7,\"iat\":1700000000,\"exp\":\"never\",\"gen\":3,\"jti\":\"a\"}",
        "{\"user_id\":7,\"iat\":1700000000,\"exp\":1700018000,\"gen\":3,\"jti\":1}",
        "{\"user_id\":7,\"iat\":1700000000,\"exp\":1700018000,\"gen\":3,\"jti\":\"\"}",
        "{\"user_id\":7,\"iat\":1700000000,\"exp\":1700018000,\"gen\":3,\"jti\":\"a\\u0000b\"}",
        "{\"user_id\":7,\"iat\":1700000000,\"exp\":1700018000,\"gen\":3,\"jti\":\"a\\nb\"}",
        "{\"user_id\":7,\"iat\":1700000000,\"exp\":1700018000,\"gen\":3,\"jti\":"
        "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}",
    };
    for (size_t i = 0; i < sizeof payloads / sizeof payloads[0]; i++)
        assert_int_equal(JWT_BAD, parse(sign(HEADER, payloads[i])));
    assert_int_equal(JWT_OK, parse(sign(HEADER, "{\"user_id\":7,\"later\":[1]," REST)));
}

static void test_gigantic(void **state)
{
    static char payload[8192];
    struct jwt_claims parsed;
    memset(payload, ' ', sizeof payload - 1);
    static const char good[] =
        "{\"user_id\":7,\"iat\":1700000000,\"exp\":1700018000,\"gen\":3,\"jti\":\"a\"}";
    memcpy(payload, good, sizeof good - 1);
    assert_int_equal(JWT_BAD, parse(sign(HEADER, payload)));
    payload[600] = 0;
    assert_int_equal(JWT_OK, parse(sign(HEADER, payload)));
    /* deep nesting, as deep as fits */
    memset(payload, '[', 600);
    assert_int_equal(JWT_BAD, parse(sign(HEADER, payload)));
    size_t size = 64 << 20;
    char *huge = malloc(size);
    assert_non_null(huge);
    memset(huge, 'A', size);
    memcpy(huge, "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.", 37);
    assert_int_equal(JWT_BAD, parse_at(huge, size, NOW, &parsed));
    free(huge);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_made_comes_back),
        cmocka_unit_test(test_the_vector_of_the_standard),
        cmocka_unit_test(test_largest_claims),
        cmocka_unit_test(test_claims_that_cannot_be_made),
        cmocka_unit_test(test_time),
        cmocka_unit_test(test_other_algorithms),
        cmocka_unit_test(test_truncated_anywhere),
        cmocka_unit_test(test_changed_anywhere),
        cmocka_unit_test(test_forged),
        cmocka_unit_test(test_payloads_of_wrong_kinds),
        cmocka_unit_test(test_gigantic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
