/* Who may visit a socket. Part of its facts, immutable. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"

#define ACCESS_PREFIXES_MAX 64 /* of each list */

struct socket_access {
    bool is_protected; /* basic auth: username, and a password whose hash is kept */
    char *username;
    char *password_hash; /* net/secret.h */
    struct prefix *allow,
        *deny; /* deny first; then, if there is an allow list, only what is in it */
    size_t allow_count, deny_count;
    char *client_ca; /* PEM: visitors need a certificate of these CAs; NULL: none */
    uint32_t rate;   /* requests (http) or connections (others) a second for the whole socket; 0: no
                        limit */
    uint32_t visitor_rate;    /* the same for one visitor address (IPv6: its /64) */
    uint32_t max_connections; /* visitors at once; 0: no limit */
};

/* A deep copy; NULL without memory. `access` NULL: one that lets everybody in. */
struct socket_access *socket_access_copy(const struct socket_access *access);
void socket_access_free(struct socket_access *access); /* NULL is fine */
/* Do they say the same? NULL says what one that lets everybody in says. */
bool socket_access_equal(const struct socket_access *a, const struct socket_access *b);
/* "192.0.2.0/24, 2001:db8::/32" into a list. 0, or -1 with a sentence. */
int socket_access_parse_prefixes(const char *text, struct prefix **ret_prefixes, size_t *ret_count,
                                 char *error, size_t error_size)
    __attribute__((warn_unused_result));
/* The list as text; malloced, NULL without memory. */
char *socket_access_format_prefixes(const struct prefix *prefixes, size_t count);
/* By its lists alone. NULL (everybody) is fine. */
bool socket_access_admits(const struct socket_access *access, const union address *visitor);
