/* Login tokens: as they come, and with their payload signed for them, so that the claims are
 * reached. What is let in can be made again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "control/jwt.h"
#include "net/secret.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW UINT64_C(1700000000)

static const unsigned char key[32] = "the key that signs what we fuzz";

static void check(const char *text, size_t length)
{
    struct jwt_claims claims, again;
    char made[JWT_MAX];
    if (jwt_parse(key, text, length, NOW, &claims) != JWT_OK)
        return;
    int made_length = jwt_make(key, &claims, made);
    if (made_length < 0 || jwt_parse(key, made, (size_t)made_length, NOW, &again) != JWT_OK ||
        again.user_id != claims.user_id || again.issued != claims.issued ||
        again.expires != claims.expires || again.gen != claims.gen ||
        strcmp(again.jti, claims.jti) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char header[] = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.";
    char text[2 * JWT_MAX];
    unsigned char digest[32];
    check((const char *)data, size);
    if (size > JWT_MAX)
        return 0;
    memcpy(text, header, sizeof header - 1);
    size_t length = sizeof header - 1;
    length += secret_base64url(data, size, text + length);
    if (secret_hmac(key, 32, text, length, digest) < 0)
        return 0;
    text[length++] = '.';
    length += secret_base64url(digest, sizeof digest, text + length);
    check(text, length);
    return 0;
}
