/* HTTPS for the REST API: on --api's address, and for visitors of api.DOMAIN whom the edge passes
 * on; and plain HTTP on the admin's unix socket. On the main loop. */
#pragma once

#include <stddef.h>

#include "base/address.h"
#include "control/api.h"
#include "net/loop.h"
#include "net/tls.h"

struct api_listener;

struct api_listener_options {
    const union address *addresses; /* --api */
    size_t address_count;
    const char *admin_path;  /* unix socket, 0600; NULL: none. Only root and the server's own user
                                are heard  (SO_PEERCRED) */
    size_t most_connections; /* 1024 */
    uint64_t timeout;        /* for a request, and between requests; 30 s */
};

int api_listener_open(struct loop *loop, struct api *api,
                      const struct api_listener_options *options, struct tls_context *tls,
                      struct api_listener **ret_listener, char *error, size_t error_size)
    __attribute__((warn_unused_result));
void api_listener_set_tls(struct api_listener *listener, struct tls_context *tls);
/* A connection that the edge read some bytes of (its ClientHello). Takes fd and left. */
void api_listener_take(struct api_listener *listener, int fd, void *left, size_t left_size,
                       const union address *peer);
size_t api_listener_addresses(const struct api_listener *listener,
                              const union address **ret_addresses);
void api_listener_close(struct api_listener *listener); /* NULL is fine */
