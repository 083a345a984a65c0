#include "net/secret.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "net/pki.h"

/* OWASP advises three to four times the work (2^17, or 2^15 with p=3). This is for servers that
 * hash two at a time beside tunnels, behind delays. The parameters are kept with each hash: they
 * can grow. */
#define LOG_N 15
#define R     8
#define P     1

#define SALT_SIZE 16
#define KEY_SIZE  32

/* What a hash that was read may ask for: the database is the operator's, but it may be damaged. */
#define MEMORY_MAX (UINT64_C(256) << 20)

static const char standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url_safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* --- base64 --- */

static size_t encode(const char *alphabet, const unsigned char *bytes, size_t size, char *buffer)
{
    char *out = buffer;
    uint32_t bits = 0;
    unsigned count = 0;
    for (size_t i = 0; i < size; i++) {
        bits = bits << 8 | bytes[i];
        for (count += 8; count >= 6; count -= 6)
            *out++ = alphabet[bits >> (count - 6) & 63];
    }
    if (count)
        *out++ = alphabet[bits << (6 - count) & 63];
    *out = 0;
    return (size_t)(out - buffer);
}

static int digit_of(const char *alphabet, char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == alphabet[62] ? 62 : c == alphabet[63] ? 63 : -1;
}

static long decode(const char *alphabet, const char *text, size_t length, unsigned char *buffer,
                   size_t capacity)
{
    size_t size = 0;
    uint32_t bits = 0;
    unsigned count = 0;
    if (length % 4 == 1)
        return -1;
    for (size_t i = 0; i < length; i++) {
        int digit = digit_of(alphabet, text[i]);
        if (digit < 0)
            return -1;
        bits = bits << 6 | (uint32_t)digit;
        count += 6;
        if (count >= 8) {
            if (size == capacity)
                return -1;
            count -= 8;
            buffer[size++] = (unsigned char)(bits >> count);
        }
    }
    /* One value, one text: else a signature could be written in several ways. */
    return bits & ((1U << count) - 1) ? -1 : (long)size;
}

size_t secret_base64url(const void *bytes, size_t size, char *buffer)
{
    return encode(url_safe, bytes, size, buffer);
}

long secret_from_base64url(const char *text, size_t length, void *buffer, size_t capacity)
{
    return decode(url_safe, text, length, buffer, capacity);
}

size_t secret_base64(const void *bytes, size_t size, char *buffer)
{
    size_t length = encode(standard, bytes, size, buffer);
    while (length % 4)
        buffer[length++] = '=';
    buffer[length] = 0;
    return length;
}

long secret_from_base64(const char *text, size_t length, void *buffer, size_t capacity)
{
    if (length % 4)
        return -1;
    for (int i = 0; i < 2 && length && text[length - 1] == '='; i++)
        length--;
    return decode(standard, text, length, buffer, capacity);
}

/* --- Digests --- */

int secret_hmac(const void *key, size_t key_size, const void *bytes, size_t size,
                unsigned char ret_digest[32])
{
    unsigned char digest[32];
    if (key_size > INT_MAX || !HMAC(EVP_sha256(), key, (int)key_size, bytes, size, digest, NULL)) {
        ERR_clear_error();
        return -1;
    }
    memcpy(ret_digest, digest, sizeof digest);
    return 0;
}

/* What scrypt needs, as OpenSSL reckons it. */
static uint64_t memory_of(const struct secret_scrypt *cost)
{
    return UINT64_C(128) * cost->r * ((UINT64_C(1) << cost->log_n) + cost->p + 2);
}

static bool is_possible(const struct secret_scrypt *cost)
{
    return cost->log_n >= 1 && cost->log_n <= 30 && cost->r >= 1 && cost->r <= 255 &&
           cost->p >= 1 && cost->p <= 255;
}

int secret_scrypt(const struct secret_scrypt *cost, const void *password, size_t password_size,
                  const void *salt, size_t salt_size, void *ret_key, size_t key_size)
{
    if (!is_possible(cost))
        return -1;
    int done = EVP_PBE_scrypt(password, password_size, salt, salt_size, UINT64_C(1) << cost->log_n,
                              cost->r, cost->p, memory_of(cost), ret_key, key_size);
    ERR_clear_error();
    return done == 1 ? 0 : -1;
}

/* --- Passwords --- */

int secret_hash_password(const char *password, char ret_hash[SECRET_HASH_MAX])
{
    static const struct secret_scrypt cost = {LOG_N, R, P};
    unsigned char salt[SALT_SIZE], key[KEY_SIZE];
    char salt_text[SALT_SIZE * 4 / 3 + 3], key_text[KEY_SIZE * 4 / 3 + 3];
    size_t length = strlen(password);
    if (length > SECRET_PASSWORD_MAX || pki_random(salt, sizeof salt) < 0 ||
        secret_scrypt(&cost, password, length, salt, sizeof salt, key, sizeof key) < 0)
        return -1;
    encode(standard, salt, sizeof salt, salt_text);
    encode(standard, key, sizeof key, key_text);
    snprintf(ret_hash, SECRET_HASH_MAX, "$scrypt$ln=%u,r=%u,p=%u$%s$%s", cost.log_n, cost.r, cost.p,
             salt_text, key_text);
    return 0;
}

/* "NAME=NUMBER": the text behind it, or NULL. */
static const char *read_number(const char *text, const char *name, unsigned *ret_number)
{
    unsigned number = 0;
    size_t length = strlen(name);
    if (!text || strncmp(text, name, length) != 0)
        return NULL;
    text += length;
    size_t digits = strspn(text, "0123456789");
    if (digits < 1 || digits > 3)
        return NULL;
    for (size_t i = 0; i < digits; i++)
        number = number * 10 + (unsigned)(text[i] - '0');
    *ret_number = number;
    return text + digits;
}

struct parsed_hash {
    struct secret_scrypt cost;
    unsigned char salt[64], key[64];
    size_t salt_size, key_size;
};

static int parse_hash(const char *hash, struct parsed_hash *parsed)
{
    const char *text = read_number(hash, "$scrypt$ln=", &parsed->cost.log_n);
    text = read_number(text, ",r=", &parsed->cost.r);
    text = read_number(text, ",p=", &parsed->cost.p);
    if (!text || *text != '$' || !is_possible(&parsed->cost) ||
        memory_of(&parsed->cost) > MEMORY_MAX)
        return -1;
    const char *salt = text + 1, *end = strchr(salt, '$');
    if (!end)
        return -1;
    long salt_size =
        decode(standard, salt, (size_t)(end - salt), parsed->salt, sizeof parsed->salt);
    long key_size = decode(standard, end + 1, strlen(end + 1), parsed->key, sizeof parsed->key);
    if (salt_size < 8 || key_size < 16) /* a short key would be guessed, an empty one fits all */
        return -1;
    parsed->salt_size = (size_t)salt_size;
    parsed->key_size = (size_t)key_size;
    return 0;
}

bool secret_verify_password(const char *password, const char *hash)
{
    struct parsed_hash parsed;
    unsigned char key[sizeof parsed.key];
    size_t length = strlen(password);
    return length <= SECRET_PASSWORD_MAX && parse_hash(hash, &parsed) == 0 &&
           secret_scrypt(&parsed.cost, password, length, parsed.salt, parsed.salt_size, key,
                         parsed.key_size) == 0 &&
           pki_equal(key, parsed.key, parsed.key_size);
}
