/* The targets: what the server dials on the bench's behalf. One process, one epoll. */
#include "bench/shared.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/pattern.h"

/* Several addresses share a port, so that short connections to them don't run out of ephemeral
 * ports, of which one pair of addresses has 28,000 a minute. */
#define LOOPBACKS    8
#define CHUNK        (256 * 1024)
#define EVENTS       256
#define READS_A_TURN 8

struct target {
    int fd;
    enum target_kind kind;
    bool listener;
    size_t header; /* bytes of the request that have come */
    union {
        uint64_t seed;
        struct source_request source;
        uint8_t bytes[sizeof(struct source_request)];
    } request;
    uint64_t done; /* bytes received (sink) or sent (source) after the request */
    uint64_t wrong;
    uint8_t *left; /* what an echo couldn't send yet */
    size_t left_size, left_at;
    uint32_t events; /* what epoll watches */
    bool ended;      /* the other side sends no more */
};

static int epoll_fd;
static struct target_counters *counters;
static struct target_counters own_counters;
static uint8_t chunk[CHUNK];

static void watch(struct target *target, uint32_t events)
{
    if (target->events != events) {
        struct epoll_event event = {.events = events, .data.ptr = target};
        epoll_ctl(epoll_fd, target->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, target->fd, &event);
        target->events = events;
    }
}

static void drop(struct target *target)
{
    close(target->fd);
    free(target->left);
    free(target);
    counters->closed++;
}

static void accept_some(struct target *listener)
{
    for (int i = 0; i < 64; i++) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            return;
        }
        struct target *target = calloc(1, sizeof(*target));
        if (!target) {
            close(fd);
            return;
        }
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        target->fd = fd;
        target->kind = listener->kind;
        counters->accepted++;
        watch(target, target->kind == TARGET_STALL ? EPOLLRDHUP : EPOLLIN);
    }
}

/* Sends what is left; false when the socket takes no more for now or the target is gone
 * (*ret_gone). */
static bool echo_left(struct target *target, bool *ret_gone)
{
    while (target->left_at < target->left_size) {
        ssize_t sent = send(target->fd, target->left + target->left_at,
                            target->left_size - target->left_at, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno == EAGAIN) {
                watch(target, EPOLLOUT);
                return false;
            }
            drop(target);
            *ret_gone = true;
            return false;
        }
        target->left_at += (size_t)sent;
        counters->sent += (uint64_t)sent;
    }
    target->left_at = target->left_size = 0;
    watch(target, EPOLLIN);
    return true;
}

static void echo(struct target *target)
{
    bool gone = false;
    if (!echo_left(target, &gone) || gone) {
        return;
    }
    ssize_t got = recv(target->fd, chunk, sizeof(chunk), 0);
    if (got == 0 || (got < 0 && errno != EAGAIN)) {
        drop(target);
        return;
    }
    if (got < 0) {
        return;
    }
    counters->received += (uint64_t)got;
    ssize_t sent = send(target->fd, chunk, (size_t)got, MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN) {
            drop(target);
            return;
        }
        sent = 0;
    }
    counters->sent += (uint64_t)sent;
    if (sent == got) {
        return;
    }
    target->left_size = (size_t)(got - sent);
    target->left = realloc(target->left, target->left_size);
    if (!target->left) {
        drop(target);
        return;
    }
    memcpy(target->left, chunk + sent, target->left_size);
    watch(target, EPOLLOUT);
}

/* 1 when the request is complete, 0 when not yet, -1 when the other side ended or failed before. */
static int read_request(struct target *target, size_t size)
{
    while (target->header < size) {
        ssize_t got =
            recv(target->fd, target->request.bytes + target->header, size - target->header, 0);
        if (got <= 0) {
            return got < 0 && errno == EAGAIN ? 0 : -1;
        }
        target->header += (size_t)got;
    }
    return 1;
}

static void sink(struct target *target)
{
    int asked = read_request(target, sizeof(uint64_t));
    if (asked <= 0) {
        if (asked < 0) {
            drop(target);
        }
        return;
    }
    for (int i = 0; i < READS_A_TURN; i++) {
        ssize_t got = recv(target->fd, chunk, sizeof(chunk), 0);
        if (got < 0) {
            if (errno != EAGAIN) {
                drop(target);
            }
            return;
        }
        if (got == 0) {
            struct sink_answer answer = {.received = target->done, .wrong = target->wrong};
            ssize_t sent = send(target->fd, &answer, sizeof(answer), MSG_NOSIGNAL);
            (void)sent; /* an empty socket takes 16 bytes, or the other side is gone */
            drop(target);
            return;
        }
        if (target->request.seed != SINK_UNCHECKED) {
            target->wrong +=
                pattern_mismatches(target->request.seed, target->done, chunk, (size_t)got);
        }
        target->done += (uint64_t)got;
        counters->received += (uint64_t)got;
        if ((size_t)got < sizeof(chunk)) {
            return;
        }
    }
}

static void source(struct target *target, uint32_t events)
{
    int asked = read_request(target, sizeof(struct source_request));
    if (asked <= 0) {
        if (asked < 0) {
            drop(target);
        }
        return;
    }
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
        target->ended = true;
    }
    uint64_t count = target->request.source.count;
    for (int i = 0; i < READS_A_TURN; i++) {
        size_t length = PATTERN_CHUNK;
        if (count && count - target->done < length) {
            length = (size_t)(count - target->done);
        }
        /* A counted source is sent whole even though the asker has ended its own direction. */
        if (length == 0 || (target->ended && !count)) {
            drop(target);
            return;
        }
        ssize_t sent = send(target->fd, pattern_at(target->request.source.seed, target->done),
                            length, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno != EAGAIN) {
                drop(target);
                return;
            }
            watch(target, count ? EPOLLOUT : EPOLLOUT | EPOLLRDHUP);
            return;
        }
        target->done += (uint64_t)sent;
        counters->sent += (uint64_t)sent;
    }
    watch(target, count ? EPOLLOUT : EPOLLOUT | EPOLLRDHUP);
}

static void handle(struct target *target, uint32_t events)
{
    if (target->listener) {
        accept_some(target);
        return;
    }
    switch (target->kind) {
    case TARGET_ECHO:
        echo(target);
        break;
    case TARGET_SINK:
        sink(target);
        break;
    case TARGET_SOURCE:
        source(target, events);
        break;
    case TARGET_STALL:
        drop(target);
        break;
    default:
        break;
    }
}

/* A listener for `kind` on the address; port 0 finds one. Its port, or 0. */
static uint16_t listen_at(enum target_kind kind, struct in_addr address, uint16_t port)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr = address, .sin_port = htons(port)};
    socklen_t size = sizeof(name);
    struct target *target = calloc(1, sizeof(*target));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    if (!target || fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        bind(fd, (struct sockaddr *)&name, size) < 0 || listen(fd, SOMAXCONN) < 0 ||
        getsockname(fd, (struct sockaddr *)&name, &size) < 0) {
        free(target);
        if (fd >= 0) {
            close(fd);
        }
        return 0;
    }
    target->fd = fd;
    target->kind = kind;
    target->listener = true;
    watch(target, EPOLLIN);
    return ntohs(name.sin_port);
}

/* On a loopback address: the same port on its neighbours too. A neighbour's port may be taken: then
 * another. */
static uint16_t listen_kind(enum target_kind kind, struct in_addr address)
{
    bool loopback = (ntohl(address.s_addr) >> 24) == 127;
    for (int try = 0; try < 50; try++) {
        uint16_t port = listen_at(kind, address, 0);
        int got = 1;
        for (; port && loopback && got < LOOPBACKS; got++) {
            struct in_addr next = {.s_addr = htonl(ntohl(address.s_addr) + (uint32_t)got)};
            if (!listen_at(kind, next, port)) {
                break;
            }
        }
        if (port && (!loopback || got == LOOPBACKS)) {
            return port;
        }
    }
    return 0;
}

int targets_main(int argc, char **argv)
{
    struct in_addr address;
    if (argc < 2 || inet_pton(AF_INET, argv[1], &address) != 1) {
        return 2;
    }
    counters = &own_counters;
    if (argc > 2) {
        void *memory =
            mmap(NULL, sizeof(*counters), PROT_READ | PROT_WRITE, MAP_SHARED, atoi(argv[2]), 0);
        if (memory == MAP_FAILED) {
            return 2;
        }
        counters = memory;
    }
    pattern_init();
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    for (int kind = 0; kind < TARGET_COUNT; kind++) {
        uint16_t port = listen_kind((enum target_kind)kind, address);
        if (!port) {
            fprintf(stderr, "streamplex bench: no port for targets on %s\n", argv[1]);
            return 2;
        }
        printf("%u%c", port, kind + 1 < TARGET_COUNT ? ' ' : '\n');
    }
    fflush(stdout);
    for (;;) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(epoll_fd, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            handle(events[i].data.ptr, events[i].events);
        }
    }
}
