/* The PROXY protocol, versions 1 and 2 (haproxy's proxy-protocol.txt): who really connected. */
#pragma once

#include <stddef.h>

#include "base/address.h"

#define PROXY_HEADER_MAX 552 /* v2 with IPv6 addresses and 500 bytes of extensions */

enum proxy_version { PROXY_NONE, PROXY_V1, PROXY_V2 };

enum proxy_result {
    PROXY_MORE = 0, /* not all there yet */
    PROXY_FOUND = 1,
    PROXY_ABSENT = 2, /* these bytes begin no PROXY header */
    PROXY_BAD = -1,
};

/* bytes: all that came so far. With PROXY_FOUND *ret_size is the header's length, and *ret_source
 * and *ret_target are the addresses, of family 0 for LOCAL, UNKNOWN and local sockets. They change
 * only then. */
enum proxy_result proxy_header_parse(const void *bytes, size_t length, size_t *ret_size,
                                     union address *ret_source, union address *ret_target)
    __attribute__((warn_unused_result));
/* Writes a header and returns its length; addresses of unlike families are both written as IPv6, of
 * family 0 as LOCAL (v1: UNKNOWN). buffer: PROXY_HEADER_MAX. */
size_t proxy_header_write(enum proxy_version version, const union address *source,
                          const union address *target, void *buffer);
