#include "control/jwt.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "net/pki.h"
#include "net/secret.h"

/* {"alg":"HS256","typ":"JWT"}: the one header there is, so nothing that a token says about itself
 * is ever obeyed. */
#define HEADER        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."
#define HEADER_LENGTH (sizeof HEADER - 1)

#define DIGEST_SIZE      32
#define SIGNATURE_LENGTH 43 /* of a digest in base64url */
#define PAYLOAD_MAX      640
#define SKEW_MAX         60 /* seconds */

/* Nothing that would have to be escaped in JSON. */
static bool is_jti(const char *jti)
{
    size_t length = strnlen(jti, JWT_JTI_MAX + 1);
    for (size_t i = 0; i < length; i++)
        if (jti[i] <= ' ' || jti[i] > '~' || jti[i] == '"' || jti[i] == '\\')
            return false;
    return length >= 1 && length <= JWT_JTI_MAX;
}

int jwt_make(const unsigned char key[32], const struct jwt_claims *claims, char buffer[JWT_MAX])
{
    char payload[PAYLOAD_MAX];
    unsigned char digest[DIGEST_SIZE];
    if (!is_jti(claims->jti) || claims->user_id > INT64_MAX || claims->issued > INT64_MAX ||
        claims->expires > INT64_MAX)
        return -1;
    int size = snprintf(payload, sizeof payload,
                        "{\"user_id\":%" PRIu64 ",\"iat\":%" PRIu64 ",\"exp\":%" PRIu64
                        ",\"gen\":%" PRIu32 ",\"jti\":\"%s\"}",
                        claims->user_id, claims->issued, claims->expires, claims->gen, claims->jti);
    _Static_assert(HEADER_LENGTH + (PAYLOAD_MAX * 4 + 2) / 3 + 1 + SIGNATURE_LENGTH < JWT_MAX,
                   "the longest payload fits");
    memcpy(buffer, HEADER, HEADER_LENGTH);
    size_t length = HEADER_LENGTH;
    length += secret_base64url(payload, (size_t)size, buffer + length);
    if (secret_hmac(key, 32, buffer, length, digest) < 0)
        return -1;
    buffer[length++] = '.';
    length += secret_base64url(digest, sizeof digest, buffer + length);
    return (int)length;
}

/* The payload's text within a token of the right form and signature. */
static enum jwt_error check_signature(const unsigned char key[32], const char *text, size_t length,
                                      const char **ret_payload, size_t *ret_payload_length)
{
    unsigned char claimed[DIGEST_SIZE], digest[DIGEST_SIZE];
    if (length >= JWT_MAX || length < HEADER_LENGTH + 1 + 1 + SIGNATURE_LENGTH ||
        memcmp(text, HEADER, HEADER_LENGTH) != 0)
        return JWT_BAD;
    size_t signed_length = length - SIGNATURE_LENGTH - 1;
    if (text[signed_length] != '.' ||
        secret_from_base64url(text + signed_length + 1, SIGNATURE_LENGTH, claimed,
                              sizeof claimed) != DIGEST_SIZE ||
        secret_hmac(key, 32, text, signed_length, digest) < 0)
        return JWT_BAD;
    if (!pki_equal(claimed, digest, sizeof digest))
        return JWT_FORGED;
    *ret_payload = text + HEADER_LENGTH;
    *ret_payload_length = signed_length - HEADER_LENGTH;
    return JWT_OK;
}

static bool get_number(const json_t *object, const char *name, uint64_t most, uint64_t *ret_number)
{
    const json_t *value = json_object_get(object, name);
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        (uint64_t)json_integer_value(value) > most)
        return false;
    *ret_number = (uint64_t)json_integer_value(value);
    return true;
}

static bool get_claims(const json_t *object, struct jwt_claims *claims)
{
    uint64_t gen;
    const json_t *jti = json_object_get(object, "jti");
    if (!get_number(object, "user_id", INT64_MAX, &claims->user_id) ||
        !get_number(object, "iat", INT64_MAX, &claims->issued) ||
        !get_number(object, "exp", INT64_MAX, &claims->expires) ||
        !get_number(object, "gen", UINT32_MAX, &gen) || !json_is_string(jti) ||
        !is_jti(json_string_value(jti)))
        return false;
    claims->gen = (uint32_t)gen;
    snprintf(claims->jti, sizeof claims->jti, "%s", json_string_value(jti));
    return true;
}

static enum jwt_error parse_payload(const char *text, size_t length, struct jwt_claims *claims)
{
    char payload[JWT_MAX];
    long size = secret_from_base64url(text, length, payload, sizeof payload);
    if (size < 0)
        return JWT_BAD;
    json_t *object = json_loadb(payload, (size_t)size, JSON_REJECT_DUPLICATES, NULL);
    bool is_good = json_is_object(object) && get_claims(object, claims);
    json_decref(object);
    return is_good ? JWT_OK : JWT_BAD;
}

enum jwt_error jwt_parse(const unsigned char key[32], const char *text, size_t length, uint64_t now,
                         struct jwt_claims *ret_claims)
{
    const char *payload;
    size_t payload_length;
    struct jwt_claims claims;
    enum jwt_error error = check_signature(key, text, length, &payload, &payload_length);
    if (error == JWT_OK)
        error = parse_payload(payload, payload_length, &claims);
    if (error != JWT_OK)
        return error;
    if (claims.issued > now && claims.issued - now > SKEW_MAX)
        return JWT_FUTURE;
    if (now >= claims.expires)
        return JWT_EXPIRED;
    *ret_claims = claims;
    return JWT_OK;
}
