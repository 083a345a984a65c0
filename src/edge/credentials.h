/* What an Authorization header of basic auth says (RFC 7617). */
#pragma once

#include <stddef.h>

/* Of name, colon and password together. */
#define CREDENTIALS_MAX 1280

struct credentials {
    char text[CREDENTIALS_MAX + 1]; /* name, NUL, password, NUL */
    const char *name, *password;    /* in `text` */
};

/* `value` is the header's. 0, or -1: another scheme, not base64, without a colon, with control
 * characters, or too long; *ret_credentials holds no secret then. */
int credentials_parse(const char *value, struct credentials *ret_credentials)
    __attribute__((warn_unused_result));
/* Overwrites them. */
void credentials_wipe(struct credentials *credentials);
