/* A look into a TLS ClientHello before anybody answers it: the name asked for, and ALPN (RFC 8446
 * 4.1.2, RFC 6066 3, RFC 7301). It may span records and segments. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* As far as we read: browsers with post-quantum key shares stay under 2 KiB, and a handshake
 * message may be longer than all that we need. */
#define HELLO_MAX 16384

struct hello {
    char name[256];       /* SNI's host name, lower case, without a final dot; "" without */
    bool has_tunnel_alpn; /* "streamplex/1" is among the protocols offered */
    bool has_acme_alpn;   /* "acme-tls/1" is */
};

enum hello_result {
    HELLO_MORE = 0, /* not all there yet */
    HELLO_FOUND = 1,
    HELLO_BAD = -1, /* no TLS, or longer than HELLO_MAX, or malformed */
};

/* bytes: all that came so far. *ret_hello changes only with HELLO_FOUND. */
enum hello_result hello_parse(const void *bytes, size_t length, struct hello *ret_hello)
    __attribute__((warn_unused_result));
