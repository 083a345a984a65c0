/* Bodies that an OAuth server answers: what is taken out of them is a name fit for an owner, or
 * nothing. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/auth_check.h"
#include "server/oauth_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *name = oauth_answer_text((const char *)data, size, "username", AUTH_OWNER_MAX);
    if (name && !auth_is_owner(name, strlen(name)))
        abort();
    free(name);
    return 0;
}
