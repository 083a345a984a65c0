/* Passwords, digests and base64, against the vectors of their RFCs. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/secret.h"

static void to_hex(const unsigned char *bytes, size_t size, char *ret_hex)
{
    for (size_t i = 0; i < size; i++)
        snprintf(ret_hex + 2 * i, 3, "%02x", bytes[i]);
}

/* --- scrypt --- */

static void test_scrypt_vectors(void **state)
{
    /* RFC 7914, section 12; the fourth takes 1 GiB */
    static const struct {
        struct secret_scrypt cost;
        const char *password, *salt, *hex;
    } vectors[] = {
        {{4, 1, 1},
         "",
         "",
         "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442"
         "fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906"},
        {{10, 8, 16},
         "password",
         "NaCl",
         "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"
         "2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640"},
        {{14, 8, 1},
         "pleaseletmein",
         "SodiumChloride",
         "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
         "d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887"},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        unsigned char key[64];
        char hex[129];
        assert_int_equal(0, secret_scrypt(&vectors[i].cost, vectors[i].password,
                                          strlen(vectors[i].password), vectors[i].salt,
                                          strlen(vectors[i].salt), key, sizeof key));
        to_hex(key, sizeof key, hex);
        assert_string_equal(vectors[i].hex, hex);
    }
}

static void test_scrypt_refuses_what_cannot_be(void **state)
{
    static const struct secret_scrypt costs[] = {{0, 8, 1},    {31, 1, 1}, {14, 0, 1},
                                                 {14, 256, 1}, {14, 8, 0}, {14, 8, 256}};
    unsigned char key[32];
    for (size_t i = 0; i < sizeof costs / sizeof costs[0]; i++)
        assert_int_equal(-1, secret_scrypt(&costs[i], "a", 1, "b", 1, key, sizeof key));
}

static void test_passwords(void **state)
{
    char first[SECRET_HASH_MAX], second[SECRET_HASH_MAX];
    assert_int_equal(0, secret_hash_password("correct horse", first));
    assert_int_equal(0, secret_hash_password("correct horse", second));
    assert_int_equal(0, strncmp(first, "$scrypt$ln=15,r=8,p=1$", 22));
    assert_int_equal(22 + 22 + 1 + 43, strlen(first));
    assert_string_not_equal(first, second); /* the salt is fresh */
    assert_true(secret_verify_password("correct horse", first));
    assert_true(secret_verify_password("correct horse", second));
    assert_false(secret_verify_password("correct hors", first));
    assert_false(secret_verify_password("", first));
    char *last = first + strlen(first) - 2;
    *last = *last == 'A' ? 'B' : 'A';
    assert_false(secret_verify_password("correct horse", first));
}

static void test_other_parameters_verify(void **state)
{
    /* the third vector above, its 64 bytes as they are kept */
    static const char hash[] =
        "$scrypt$ln=14,r=8,p=1$U29kaXVtQ2hsb3JpZGU$cCO9yzr9c0hGHAbNgf046/2o+7qQT44+"
        "qbVD9lRdofLVQylVYT8Pz2LUlwUkKpr55h6F3A1lHkDfzwF7RVdYhw";
    assert_true(secret_verify_password("pleaseletmein", hash));
    assert_false(secret_verify_password("pleaseletmeout", hash));
}

static void test_long_passwords_are_refused(void **state)
{
    static char longest[SECRET_PASSWORD_MAX + 2];
    char hash[SECRET_HASH_MAX];
    memset(longest, 'x', SECRET_PASSWORD_MAX + 1);
    assert_int_equal(-1, secret_hash_password(longest, hash));
    longest[SECRET_PASSWORD_MAX] = 0;
    assert_int_equal(0, secret_hash_password(longest, hash));
    assert_true(secret_verify_password(longest, hash));
    longest[SECRET_PASSWORD_MAX] = 'x';
    assert_false(secret_verify_password(longest, hash));
}

static void test_damaged_hashes_fit_nothing(void **state)
{
#define SALT_AND_KEY "$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    static const char *const hashes[] = {
        "",
        "$scrypt$",
        "$argon2id$v=19$m=1,t=1,p=1" SALT_AND_KEY,
        "$scrypt$ln=,r=8,p=1" SALT_AND_KEY,
        "$scrypt$ln=-1,r=8,p=1" SALT_AND_KEY,
        "$scrypt$ln=0,r=8,p=1" SALT_AND_KEY,
        "$scrypt$ln=15,r=8" SALT_AND_KEY,
        "$scrypt$ln=15,r=8,p=1,q=1" SALT_AND_KEY,
        "$scrypt$ln=19,r=8,p=1" SALT_AND_KEY, /* 512 MiB */
        "$scrypt$ln=30,r=255,p=1" SALT_AND_KEY,
        "$scrypt$ln=99999999999,r=8,p=1" SALT_AND_KEY,
        "$scrypt$ln=2,r=8,p=1",
        "$scrypt$ln=2,r=8,p=1$AAAAAAAAAAAAAAAAAAAAAA",
        "$scrypt$ln=2,r=8,p=1$AAAAAAAAAAAAAAAAAAAAAA$",
        "$scrypt$ln=2,r=8,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAA",
        "$scrypt$ln=2,r=8,p=1$$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "$scrypt$ln=2,r=8,p=1$AAA!AAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "$scrypt$ln=2,r=8,p=1" SALT_AND_KEY "=",
        "$scrypt$ln=2,r=8,p=1" SALT_AND_KEY "$A",
    };
    for (size_t i = 0; i < sizeof hashes / sizeof hashes[0]; i++)
        assert_false(secret_verify_password("password", hashes[i]));
}

/* --- HMAC --- */

static void test_hmac_vectors(void **state)
{
    /* RFC 4231, cases 2 and 6 */
    unsigned char digest[32], key[131];
    char hex[65];
    static const char text[] = "Test Using Larger Than Block-Size Key - Hash Key First";
    assert_int_equal(0, secret_hmac("Jefe", 4, "what do ya want for nothing?", 28, digest));
    to_hex(digest, sizeof digest, hex);
    assert_string_equal("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843", hex);
    memset(key, 0xaa, sizeof key);
    assert_int_equal(0, secret_hmac(key, sizeof key, text, strlen(text), digest));
    to_hex(digest, sizeof digest, hex);
    assert_string_equal("60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54", hex);
}

/* --- base64 --- */

static void test_base64_vectors(void **state)
{
    /* RFC 4648, section 10 */
    static const char *const vectors[][3] = {
        {"", "", ""},
        {"f", "Zg==", "Zg"},
        {"fo", "Zm8=", "Zm8"},
        {"foo", "Zm9v", "Zm9v"},
        {"foob", "Zm9vYg==", "Zm9vYg"},
        {"fooba", "Zm9vYmE=", "Zm9vYmE"},
        {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
        {"\xfb\xff\xfe", "+//+", "-__-"},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        const char *const *v = vectors[i];
        char buffer[16], back[16];
        size_t size = strlen(v[0]);
        assert_int_equal(strlen(v[1]), secret_base64(v[0], size, buffer));
        assert_string_equal(v[1], buffer);
        assert_int_equal(strlen(v[2]), secret_base64url(v[0], size, buffer));
        assert_string_equal(v[2], buffer);
        assert_int_equal(size, secret_from_base64(v[1], strlen(v[1]), back, size));
        assert_memory_equal(v[0], back, size);
        assert_int_equal(size, secret_from_base64url(v[2], strlen(v[2]), back, size));
        assert_memory_equal(v[0], back, size);
        if (size) {
            assert_int_equal(-1, secret_from_base64(v[1], strlen(v[1]), back, size - 1));
            assert_int_equal(-1, secret_from_base64url(v[2], strlen(v[2]), back, size - 1));
        }
    }
}

static void test_every_byte_comes_back(void **state)
{
    unsigned char bytes[256], back[256];
    char text[400];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 167);
    for (size_t size = 0; size <= sizeof bytes; size++) {
        size_t length = secret_base64url(bytes, size, text);
        assert_true(length + 1 <= (size * 4 + 2) / 3 + 1);
        assert_int_equal(size, secret_from_base64url(text, length, back, sizeof back));
        assert_memory_equal(bytes, back, size);
        length = secret_base64(bytes, size, text);
        assert_int_equal(size, secret_from_base64(text, length, back, sizeof back));
        assert_memory_equal(bytes, back, size);
    }
}

static void test_other_forms_are_refused(void **state)
{
    static const char *const url_safe[] = {"A",     "AAAAA",  "Zg==",      "Zm8=", "+//+",
                                           "Zm 9v", "Zm9v\n", "Zm9.",      "Zh",   "Zm9",
                                           "=",     "====",   "Zm\xc3\xa4"};
    static const char *const standard[] = {
        "A",    "Zg", "Zm8",  "Zg=",      "-__-", "Zm 9", "Zm9\n",           "Zh==", "Zm9=", "Z===",
        "====", "=",  "=AAA", "Zg==Zg==", "A=AA", "A==A", "\xff\xff\xff\xff"};
    char buffer[64];
    for (size_t i = 0; i < sizeof url_safe / sizeof url_safe[0]; i++)
        assert_int_equal(
            -1, secret_from_base64url(url_safe[i], strlen(url_safe[i]), buffer, sizeof buffer));
    for (size_t i = 0; i < sizeof standard / sizeof standard[0]; i++)
        assert_int_equal(
            -1, secret_from_base64(standard[i], strlen(standard[i]), buffer, sizeof buffer));
    assert_int_equal(-1, secret_from_base64url("Zm9v\0Zm9", 8, buffer, sizeof buffer));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scrypt_vectors),
        cmocka_unit_test(test_scrypt_refuses_what_cannot_be),
        cmocka_unit_test(test_passwords),
        cmocka_unit_test(test_other_parameters_verify),
        cmocka_unit_test(test_long_passwords_are_refused),
        cmocka_unit_test(test_damaged_hashes_fit_nothing),
        cmocka_unit_test(test_hmac_vectors),
        cmocka_unit_test(test_base64_vectors),
        cmocka_unit_test(test_every_byte_comes_back),
        cmocka_unit_test(test_other_forms_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
