#include "net/network_watch.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/watch.h"

/* The kernel's own advice for one datagram of rtnetlink. */
#define BATCH_SIZE 8192

struct network_watch {
    struct watch watch; /* first */
    struct loop *loop;
    void (*on_change)(void *user);
    void *user;
};

static bool is_news(const struct nlmsghdr *message)
{
    if (message->nlmsg_type == RTM_NEWADDR)
        return true;
    if (message->nlmsg_type != RTM_NEWLINK ||
        message->nlmsg_len < NLMSG_LENGTH(sizeof(struct ifinfomsg)))
        return false;
    struct ifinfomsg link;
    memcpy(&link, (const char *)message + NLMSG_HDRLEN, sizeof link);
    return (link.ifi_flags & IFF_RUNNING) != 0;
}

bool network_watch_is_news(const void *messages, size_t length)
{
    const unsigned char *at = messages;

    while (length >= sizeof(struct nlmsghdr)) {
        struct nlmsghdr header;
        memcpy(&header, at, sizeof header);
        if (header.nlmsg_len < sizeof header || header.nlmsg_len > length)
            return false;
        if (is_news((const struct nlmsghdr *)(const void *)at))
            return true;
        size_t whole = NLMSG_ALIGN(header.nlmsg_len);
        if (whole >= length)
            return false;
        at += whole;
        length -= whole;
    }
    return false;
}

static void run(struct watch *base, uint32_t events)
{
    struct network_watch *watch = (struct network_watch *)(void *)base;
    _Alignas(struct nlmsghdr) unsigned char batch[BATCH_SIZE];
    bool news = false;

    for (;;) {
        ssize_t count = recv(watch->watch.fd, batch, sizeof batch, MSG_DONTWAIT);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0 && errno == ENOBUFS) { /* more was told than fitted: anything may be new */
            news = true;
            continue;
        }
        if (count <= 0)
            break;
        news = news || network_watch_is_news(batch, (size_t)count);
    }
    if (news)
        watch->on_change(watch->user);
}

int network_watch_open(struct loop *loop, void (*on_change)(void *user), void *user,
                       struct network_watch **ret_watch)
{
    const struct sockaddr_nl groups = {
        .nl_family = AF_NETLINK,
        .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR,
    };
    struct network_watch *watch = calloc(1, sizeof *watch);
    if (!watch)
        return -ENOMEM;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    int error = fd < 0 ? -errno : 0;
    if (!error && bind(fd, (const struct sockaddr *)(const void *)&groups, sizeof groups) < 0)
        error = -errno;
    watch->watch.run = run;
    watch->loop = loop;
    watch->on_change = on_change;
    watch->user = user;
    if (!error)
        error = watch_add(loop, &watch->watch, fd, EPOLLIN);
    if (error) {
        if (fd >= 0)
            close(fd);
        free(watch);
        return error;
    }
    *ret_watch = watch;
    return 0;
}

void network_watch_close(struct network_watch *watch)
{
    if (!watch)
        return;
    int fd = watch->watch.fd;
    watch_forget(watch->loop, &watch->watch);
    close(fd);
    free(watch);
}
