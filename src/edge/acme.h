/* Files of an ACME client for HTTP-01 (RFC 8555 8.3), from --acme-webroot. */
#pragma once

#include <stddef.h>

#define ACME_PATH "/.well-known/acme-challenge/"
#define ACME_MAX  4096 /* a key authorization is under 200 bytes */

/* path: of a request, beginning with ACME_PATH. Reads WEBROOT + path; the token may have the
 * characters of base64url alone, and no link leads out. Files up to ACME_MAX bytes. Returns the
 * length, or -1: there is none.
 */
int acme_read(const char *webroot, const char *path, char buffer[ACME_MAX]);
