#include "server/api_listener.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "server/api_listener_internal.h"

#define TIMEOUT       30000000 /* microseconds */
#define MOST          1024
#define OPERATORS_MAX 32 /* people and their scripts, on this machine */
#define SECOND        1000000u

/* --- Who comes in --- */

/* One line a second: a flood of connections shall not be one of lines. */
static void refuse(struct api_listener *listener, int fd, const union address *peer)
{
    char text[ADDRESS_TEXT_MAX];
    uint64_t now = loop_now(listener->loop);
    close(fd);
    if (listener->refused_logged_at && now - listener->refused_logged_at < SECOND)
        return;
    listener->refused_logged_at = now;
    log_write(LOG_WARNING,
              LOG_FIELDS(LOG_TEXT("peer", address_format(peer, text)),
                         LOG_TEXT("cap", "max-api-connections")),
              "api connection refused");
}

void api_listener_take(struct api_listener *listener, int fd, const void *left, size_t left_size,
                       const union address *peer)
{
    bool is_full =
        listener->client_count - listener->operator_count >= listener->options.most_connections;
    if (is_full || listener->is_draining || !listener->tls)
        refuse(listener, fd, peer);
    else
        api_client_open(listener, fd, left, left_size, peer, false);
}

static void on_accept(struct acceptor *acceptor, int fd, const union address *peer, void *user)
{
    api_listener_take(user, fd, NULL, 0, peer);
}

static void on_operator(struct acceptor *acceptor, int fd, const union address *peer, void *user)
{
    struct api_listener *listener = user;
    static const union address nowhere;
    if (!api_unix_may_enter(fd))
        close(fd);
    else if (listener->operator_count >= OPERATORS_MAX)
        refuse(listener, fd, &nowhere);
    else
        api_client_open(listener, fd, NULL, 0, &nowhere, true);
}

/* --- Listening --- */

static void log_listening(const char *name, const char *address)
{
    log_write(LOG_INFO, LOG_FIELDS(LOG_TEXT("listener", name), LOG_TEXT("address", address)),
              "listening");
}

static int open_addresses(struct api_listener *listener, char *error, size_t error_size)
{
    char text[ADDRESS_TEXT_MAX];
    for (size_t i = 0; i < listener->options.address_count; i++) {
        const union address *address = &listener->options.addresses[i];
        int result =
            acceptor_open(listener->loop, address, on_accept, listener, &listener->acceptors[i]);
        if (result < 0) {
            snprintf(error, error_size, "api: cannot listen on %s: %s",
                     address_format(address, text), strerror(-result));
            return -1;
        }
        acceptor_address(listener->acceptors[i], &listener->addresses[i]);
        listener->open++;
        log_listening("api", address_format(&listener->addresses[i], text));
    }
    return 0;
}

static int open_admin(struct api_listener *listener, char *error, size_t error_size)
{
    int fd;
    if (!listener->admin_path)
        return 0;
    if (api_unix_listen(listener->admin_path, &fd, &listener->admin_device, &listener->admin_inode,
                        error, error_size) < 0)
        return -1;
    int result = acceptor_adopt(listener->loop, fd, on_operator, listener, &listener->admin);
    if (result < 0) {
        snprintf(error, error_size, "admin-socket %s: %s", listener->admin_path, strerror(-result));
        api_unix_remove(listener->admin_path, listener->admin_device, listener->admin_inode);
        close(fd);
        return -1;
    }
    log_listening("admin-socket", listener->admin_path);
    return 0;
}

static int copy_options(struct api_listener *listener, const struct api_listener_options *options)
{
    listener->options = *options;
    if (!options->most_connections)
        listener->options.most_connections = MOST;
    if (!options->timeout)
        listener->options.timeout = TIMEOUT;
    listener->acceptors = calloc(options->address_count + 1, sizeof *listener->acceptors);
    listener->addresses = calloc(options->address_count + 1, sizeof *listener->addresses);
    if (options->admin_path)
        listener->admin_path = strdup(options->admin_path);
    bool is_whole = listener->acceptors && listener->addresses &&
                    (listener->admin_path || !options->admin_path);
    return is_whole ? 0 : -1;
}

int api_listener_open(struct loop *loop, struct api *api,
                      const struct api_listener_options *options, struct tls_context *tls,
                      struct api_listener **ret_listener, char *error, size_t error_size)
{
    struct api_listener *listener = calloc(1, sizeof *listener);
    if (listener) {
        listener->loop = loop;
        listener->api = api;
        api_listener_set_tls(listener, tls);
    }
    if (!listener || copy_options(listener, options) < 0) {
        snprintf(error, error_size, "out of memory");
        api_listener_close(listener);
        return -1;
    }
    if (open_addresses(listener, error, error_size) < 0 ||
        open_admin(listener, error, error_size) < 0) {
        api_listener_close(listener);
        return -1;
    }
    listener->options.addresses = NULL; /* they were the caller's */
    *ret_listener = listener;
    return 0;
}

/* --- Life --- */

void api_listener_set_tls(struct api_listener *listener, struct tls_context *tls)
{
    struct tls_context *before = listener->tls;
    listener->tls = tls ? tls_context_ref(tls) : NULL;
    tls_context_unref(before);
}

size_t api_listener_addresses(const struct api_listener *listener,
                              const union address **ret_addresses)
{
    *ret_addresses = listener->addresses;
    return listener->open;
}

static void close_acceptors(struct api_listener *listener)
{
    for (size_t i = 0; i < listener->open; i++) {
        acceptor_close(listener->acceptors[i]);
        listener->acceptors[i] = NULL;
    }
    if (!listener->admin)
        return;
    acceptor_close(listener->admin);
    listener->admin = NULL;
    api_unix_remove(listener->admin_path, listener->admin_device, listener->admin_inode);
}

void api_listener_drain(struct api_listener *listener)
{
    listener->is_draining = true;
    close_acceptors(listener);
    api_client_drain(listener->clients);
}

void api_listener_close(struct api_listener *listener)
{
    if (!listener)
        return;
    close_acceptors(listener);
    api_client_drop_all(listener);
    tls_context_unref(listener->tls);
    free(listener->acceptors);
    free(listener->addresses);
    free(listener->admin_path);
    free(listener);
}
