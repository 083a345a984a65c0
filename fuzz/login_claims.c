/* A login token as the API gives it: it may be anything. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "agent/login_claims.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct login_claims claims;
    if (login_claims_read((const char *)data, size, &claims) == 0)
        assert(*claims.user_id && !strpbrk(claims.user_id, "/.%?# "));
    return 0;
}
