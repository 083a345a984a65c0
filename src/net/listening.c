#include "net/listening.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "net/conn_internal.h"

#define BACKLOG 4096 /* the kernel cuts it to net.core.somaxconn */

int listening_adopt(int fd, struct listening **ret_listening)
{
    int on = 1;
    if (ioctl(fd, FIONBIO, &on) < 0)
        return -errno;
    struct listening *listening = calloc(1, sizeof *listening);
    if (!listening)
        return -ENOMEM;
    listening->fd = fd;
    listening->is_adopted = true;
    atomic_init(&listening->references, 1);
    /* accepted sockets inherit it: one system call less for each */
    conn_set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    *ret_listening = listening;
    return 0;
}

static int listen_on(int fd, const union address *address)
{
    int on = 1, off = 0;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        return -errno;
    /* one socket for both families, whatever net.ipv6.bindv6only says */
    if (address->any.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&address->v6.sin6_addr) &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) < 0)
        return -errno;
    if (bind(fd, &address->any, address_size(address)) < 0 || listen(fd, BACKLOG) < 0)
        return -errno;
    return 0;
}

int listening_open(const union address *address, struct listening **ret_listening)
{
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int error = listen_on(fd, address);
    if (error == 0)
        error = listening_adopt(fd, ret_listening);
    if (error < 0) {
        close(fd);
        return error;
    }
    (*ret_listening)->is_adopted = false;
    return 0;
}

struct listening *listening_ref(struct listening *listening)
{
    atomic_fetch_add_explicit(&listening->references, 1, memory_order_relaxed);
    return listening;
}

void listening_unref(struct listening *listening)
{
    if (!listening ||
        atomic_fetch_sub_explicit(&listening->references, 1, memory_order_acq_rel) > 1)
        return;
    if (listening->fd >= 0)
        close(listening->fd);
    free(listening);
}

void listening_address(const struct listening *listening, union address *ret_address)
{
    socklen_t size = sizeof *ret_address;
    memset(ret_address, 0, sizeof *ret_address);
    (void)getsockname(listening->fd, &ret_address->any, &size);
}

void listening_set_keepalive(struct listening *listening)
{
    conn_set_keepalive(listening->fd);
}

void listening_set_defer(struct listening *listening)
{
    conn_set_option(listening->fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, 1);
}

/* close(2) would wait for the other references, and meanwhile the port were taken: an agent that
 * comes right back would be refused it. */
void listening_stop(struct listening *listening)
{
    atomic_store(&listening->is_stopped, true);
    if (!listening->is_adopted)
        (void)shutdown(listening->fd, SHUT_RDWR);
}
