#include "agent/upstream.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/files.h"
#include "base/address.h"

int upstream_open(struct loop *loop, const struct service *service, struct upstream *upstream,
                  char *error, size_t error_size)
{
    const struct service_settings *settings = &service->settings;
    const struct tls_client_options tls = {.insecure = settings->upstream_insecure};
    char sentence[400];
    int result = 0;

    *upstream = (struct upstream){.service = service};
    if (settings->upstream_tls || settings->upstream_insecure)
        result = tls_client_new(&tls, &upstream->tls, sentence, sizeof sentence);
    if (result == 0 && settings->folder)
        result = files_open(loop, settings->folder, settings->folder_hidden, &upstream->files,
                            sentence, sizeof sentence);
    if (result < 0)
        snprintf(error, error_size, "%s: %s", service->name, sentence);
    return result;
}

void upstream_close(struct upstream *upstream)
{
    tls_context_unref(upstream->tls);
    files_close(upstream->files);
    *upstream = (struct upstream){0};
}

bool upstream_is_local(const struct upstream *upstream)
{
    return !upstream->service->settings.port;
}

/* A Unix socket is connected at once, or not at all: EAGAIN when its queue is full. */
static int connect_unix(const char *path, int *ret_fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -errno;
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) < 0) {
        int error = -errno;
        close(fd);
        return error;
    }
    *ret_fd = fd;
    return 0;
}

static int connect_files(struct files *files, int *ret_fd)
{
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
        return -errno;
    int error = files_serve(files, fds[1]);
    if (error < 0) {
        close(fds[0]);
        close(fds[1]);
        return error;
    }
    *ret_fd = fds[0];
    return 0;
}

int upstream_connect_local(const struct upstream *upstream, int *ret_fd)
{
    return upstream->files ? connect_files(upstream->files, ret_fd)
                           : connect_unix(upstream->service->settings.unix_path, ret_fd);
}

size_t upstream_proxy_header(const struct upstream *upstream, const char *visitor,
                             const union address *service_address, void *buffer)
{
    enum proxy_version version = (enum proxy_version)upstream->service->settings.proxy_protocol;
    union address source = {0}, target = *service_address;

    if (version == PROXY_NONE)
        return 0;
    if (address_from_host(visitor, 0, &source) < 0 && address_parse(visitor, &source) < 0)
        source = target = (union address){0};
    if (target.any.sa_family != AF_INET && target.any.sa_family != AF_INET6 &&
        source.any.sa_family) {
        /* A Unix socket: it has no address to name, and a service on this machine it is. */
        const char *here = source.any.sa_family == AF_INET ? "127.0.0.1" : "::1";
        if (address_from_host(here, 0, &target) < 0)
            target = source;
    }
    return proxy_header_write(version, &source, &target, buffer);
}
