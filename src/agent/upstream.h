/* The way to one service: how a connection to it is begun, and what has to be said first. */
#pragma once

#include <stdbool.h>

#include "agent/service.h"
#include "net/loop.h"
#include "net/tls.h"

struct files;

struct upstream {
    const struct service *service;
    struct tls_context *tls; /* NULL: the service speaks no TLS */
    struct files *files;     /* NULL: not a folder */
    char trouble[160];       /* why it can't be reached, as was told last; "": it can */
};

/* 0, or -1 with a sentence that names the service; upstream_close() in any case. */
int upstream_open(struct loop *loop, const struct service *service, struct upstream *upstream,
                  char *error, size_t error_size) __attribute__((warn_unused_result));
void upstream_close(struct upstream *upstream);
/* Where there is no host to dial: a connected socket at once, or a negative errno. */
bool upstream_is_local(const struct upstream *upstream);
int upstream_connect_local(const struct upstream *upstream, int *ret_fd)
    __attribute__((warn_unused_result));
/* The PROXY header that the service wants first, for a visitor as the server tells it: an address
 * with or without a port. 0: none. buffer: PROXY_HEADER_MAX. */
size_t upstream_proxy_header(const struct upstream *upstream, const char *visitor,
                             const union address *service_address, void *buffer);
