#include "agent/login_claims.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define TOKEN_MAX 4096

static int value_of(char letter)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const char *found = letter ? strchr(letters, letter) : NULL;
    return found ? (int)(found - letters) : -1;
}

/* base64url (RFC 4648 section 5) without padding. The length, or -1. */
static long decode(const char *text, size_t length, char *buffer)
{
    unsigned bits = 0, count = 0;
    size_t used = 0;
    if (length % 4 == 1)
        return -1;
    for (size_t i = 0; i < length; i++) {
        int value = value_of(text[i]);
        if (value < 0)
            return -1;
        bits = bits << 6 | (unsigned)value;
        count += 6;
        if (count >= 8) {
            count -= 8;
            buffer[used++] = (char)(bits >> count);
            bits &= (1u << count) - 1;
        }
    }
    return (long)used;
}

static bool take_id(const json_t *value, char *buffer, size_t size)
{
    const char *text = json_string_value(value);
    int length = -1;
    if (json_is_integer(value))
        length = snprintf(buffer, size, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (text)
        length = snprintf(buffer, size, "%s", text);
    /* It becomes part of a path. */
    return length > 0 && (size_t)length < size &&
           strspn(buffer, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_") ==
               (size_t)length;
}

int login_claims_read(const char *token, size_t length, struct login_claims *ret_claims)
{
    struct login_claims claims = {.expires = 0};
    char payload[TOKEN_MAX];
    const char *begin = memchr(token, '.', length);
    if (!begin || length > TOKEN_MAX)
        return -1;
    begin++;
    const char *end = memchr(begin, '.', length - (size_t)(begin - token));
    long size = end ? decode(begin, (size_t)(end - begin), payload) : -1;
    json_t *object = size > 0 ? json_loadb(payload, (size_t)size, 0, NULL) : NULL;
    bool is_good =
        take_id(json_object_get(object, "user_id"), claims.user_id, sizeof claims.user_id);
    json_int_t expires = json_integer_value(json_object_get(object, "exp"));
    if (expires > 0)
        claims.expires = (uint64_t)expires;
    json_decref(object);
    if (!is_good)
        return -1;
    *ret_claims = claims;
    return 0;
}
