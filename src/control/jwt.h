/* Login tokens: JSON Web Tokens (RFC 7519), HS256 alone, looked at before anything else is parsed.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define JWT_MAX     1024
#define JWT_JTI_MAX 32

struct jwt_claims {
    uint64_t user_id;         /* as the other numbers, at most INT64_MAX */
    uint64_t issued, expires; /* seconds since 1970 */
    uint32_t gen;             /* the user's counter when it was made */
    /* Of the login, which keeps it when it is refreshed: 1...JWT_JTI_MAX visible ASCII characters
     * but " and \. */
    char jti[JWT_JTI_MAX + 1];
};

enum jwt_error { JWT_OK = 0, JWT_BAD = -1, JWT_FORGED = -2, JWT_EXPIRED = -3, JWT_FUTURE = -4 };

/* The length, or -1: claims that can't be, or no memory. key: 32 bytes. */
int jwt_make(const unsigned char key[32], const struct jwt_claims *claims, char buffer[JWT_MAX]);
/* now: seconds since 1970; a clock that was set back by up to a minute is fine (JWT_FUTURE beyond).
 * The header has to be the one that jwt_make() writes, byte by byte, and the signature is checked
 * before the claims are parsed. *ret_claims changes only with JWT_OK. */
enum jwt_error jwt_parse(const unsigned char key[32], const char *text, size_t length, uint64_t now,
                         struct jwt_claims *ret_claims) __attribute__((warn_unused_result));
