/* What goes wrong with TLS's files, said to the operator. */
#include <errno.h>
#include <openssl/err.h>
#include <string.h>

#include "net/tls_internal.h"

int tls_error_say(char *error, size_t size, const char *what, const char *file, const char *why)
{
    if (file)
        snprintf(error, size, "%s %s: %s", what, file, why);
    else
        snprintf(error, size, "%s: %s", what, why);
    ERR_clear_error();
    return -1;
}

const char *tls_error_reason(void)
{
    const char *reason = ERR_reason_error_string(ERR_peek_error());
    return reason ? reason : "not usable";
}

FILE *tls_error_open(const char *what, const char *file, char *error, size_t size)
{
    FILE *stream = fopen(file, "re");
    if (!stream)
        (void)tls_error_say(error, size, what, file, strerror(errno));
    return stream;
}
