/* HTTPS for the REST API: on --api's address, and for visitors of api.DOMAIN whom the edge passes
 * on; and plain HTTP on the admin's unix socket. On the main loop.
 *
 *   api_listener.c   the listeners, and who is let in
 *   api_unix.c       the unix socket: its file, and who is at the other end
 *   api_client.c     a connection: requests read, asked, answered, one after the other
 *   api_reader.c     a request out of bytes
 */
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
    size_t most_connections; /* 1024; those of the unix socket have 32 of their own */
    uint64_t timeout;        /* for a request, and between requests; 30 s */
    /* A request is under way, and was answered; path: "" for one that couldn't be read. NULL:
     * nobody counts. */
    void (*on_asked)(void *user, const char *path);
    void (*on_answered)(void *user, const char *path, int status);
    void *user;
};

/* tls: kept by reference; NULL without addresses and api.DOMAIN. options is copied, with the path.
 * 0, or -1 with a sentence. */
int api_listener_open(struct loop *loop, struct api *api,
                      const struct api_listener_options *options, struct tls_context *tls,
                      struct api_listener **ret_listener, char *error, size_t error_size)
    __attribute__((warn_unused_result));
/* New connections get it. */
void api_listener_set_tls(struct api_listener *listener, struct tls_context *tls);
/* A connection that the edge read some bytes of (its ClientHello). Takes fd; left is borrowed. */
void api_listener_take(struct api_listener *listener, int fd, const void *left, size_t left_size,
                       const union address *peer);
/* With their real ports; valid until the listener is closed. */
size_t api_listener_addresses(const struct api_listener *listener,
                              const union address **ret_addresses);
/* Nobody more comes in, and connections close as soon as they wait for a request. */
void api_listener_drain(struct api_listener *listener);
/* After api_free(): nothing is answered any more. Removes the unix socket's file. NULL is fine. */
void api_listener_close(struct api_listener *listener);
