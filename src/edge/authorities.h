/* The CAs of sockets that ask their visitors for certificates, read from their PEM once: the last
 * few that were needed, of one worker. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "net/tls.h"

#define AUTHORITIES_MAX 64

struct authorities { /* zeroed: empty */
    struct authority_entry {
        unsigned char digest[32]; /* of the PEM */
        struct tls_authority *authority;
        uint64_t used; /* a count, to find the one that wasn't for longest */
    } entries[AUTHORITIES_MAX];
    size_t count;
    uint64_t uses;
};

/* Borrowed until the next call. NULL, and why in the log: it can't be read. */
struct tls_authority *authorities_find(struct authorities *authorities, const char *pem);
void authorities_deinit(struct authorities *authorities);
