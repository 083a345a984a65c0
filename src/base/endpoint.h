/* "HOST:PORT" as people write it on a command line. */
#pragma once

#include <stdint.h>

/* As RFC 1035 writes a host name; the engine's PLEX_HOST_MAX. */
#define ENDPOINT_HOST_MAX 253

struct endpoint {
    char host[ENDPOINT_HOST_MAX + 1]; /* without brackets */
    uint16_t port;
};

/* "host:80", "192.0.2.1:80", "[2001:db8::1]:80"; with a default_port other than 0 also without a
 * port, and then also a bare "2001:db8::1". The host is printable ASCII without
 * space, 1...ENDPOINT_HOST_MAX characters; whether it exists isn't judged. 0 or -1; *ret_endpoint
 * changes only on success. */
int endpoint_parse(const char *text, uint16_t default_port, struct endpoint *ret_endpoint)
    __attribute__((warn_unused_result));
