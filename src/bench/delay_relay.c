/* A process that puts a delay line each way between whoever connects to it and one address. */
#include "bench/delay_line.h"
#include "bench/options.h"
#include "bench/shared.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/address.h"

#define EVENTS 64
#define CHUNK  65536
/* Small on our sides: what waits in kernel buffers would make the road longer than it says. */
#define SOCKET_BUFFER (256 * 1024)

struct pair;

struct side {
    int fd;
    struct pair *pair;
    struct delay_line line; /* what this side sends, on its way to the other */
    bool readable, writable;
    bool shut; /* the other side's end was passed on to us */
};

struct pair {
    struct side near, far;
    bool over;
    struct pair *next, *previous;
};

static int epoll_fd;
static struct pair pairs; /* head of a ring */
static union address destination;
static uint64_t delay_ns, bytes_per_second;

static uint64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static struct side *other(struct side *side)
{
    return side == &side->pair->near ? &side->pair->far : &side->pair->near;
}

static void take_in(struct side *side)
{
    static uint8_t chunk[CHUNK];
    while (side->readable && !side->line.ended) {
        uint64_t now = now_ns();
        size_t room = delay_line_room(&side->line, now);
        if (room == 0) {
            return;
        }
        ssize_t got = recv(side->fd, chunk, room < sizeof(chunk) ? room : sizeof(chunk), 0);
        if (got > 0) {
            delay_line_put(&side->line, chunk, (size_t)got, now);
        } else if (got == 0) {
            delay_line_end(&side->line, now);
        } else if (errno == EAGAIN) {
            side->readable = false;
        } else {
            side->pair->over = true;
            return;
        }
    }
}

static void give_out(struct side *side)
{
    struct side *to = other(side);
    const uint8_t *bytes;
    size_t size;
    uint64_t now = now_ns();
    while (to->writable && (size = delay_line_peek(&side->line, now, &bytes)) > 0) {
        ssize_t put = send(to->fd, bytes, size, MSG_NOSIGNAL);
        if (put < 0) {
            to->writable = false;
            if (errno != EAGAIN) {
                side->pair->over = true;
            }
            return;
        }
        delay_line_take(&side->line, (size_t)put);
    }
    if (!to->shut && delay_line_is_over(&side->line, now)) {
        to->shut = true;
        shutdown(to->fd, SHUT_WR);
    }
}

static void move(struct pair *pair)
{
    take_in(&pair->near);
    take_in(&pair->far);
    give_out(&pair->near);
    give_out(&pair->far);
    if (pair->near.shut && pair->far.shut) {
        pair->over = true;
    }
}

static void drop(struct pair *pair)
{
    pair->next->previous = pair->previous;
    pair->previous->next = pair->next;
    close(pair->near.fd);
    close(pair->far.fd);
    delay_line_deinit(&pair->near.line);
    delay_line_deinit(&pair->far.line);
    free(pair);
}

static bool side_init(struct side *side, struct pair *pair, int fd)
{
    int on = 1, size = SOCKET_BUFFER;
    side->fd = fd;
    side->pair = pair;
    if (fd < 0 || delay_line_init(&side->line, delay_ns, bytes_per_second) < 0) {
        return false;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                .data.ptr = side};
    return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

static void accept_one(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        return;
    }
    struct pair *pair = calloc(1, sizeof(*pair));
    if (!pair) {
        close(fd);
        return;
    }
    pair->next = &pairs;
    pair->previous = pairs.previous;
    pairs.previous->next = pair;
    pairs.previous = pair;
    int far = socket(destination.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool fine = side_init(&pair->near, pair, fd);
    fine = side_init(&pair->far, pair, far) && fine;
    if (!fine ||
        (connect(far, &destination.any, address_size(&destination)) < 0 && errno != EINPROGRESS)) {
        pair->over = true;
    }
}

/* When something is to be done next without any event, ns. */
static uint64_t next_time(void)
{
    uint64_t next = UINT64_MAX;
    for (struct pair *pair = pairs.next; pair != &pairs; pair = pair->next) {
        struct side *sides[] = {&pair->near, &pair->far};
        for (int i = 0; i < 2; i++) {
            uint64_t due =
                other(sides[i])->writable ? delay_line_next(&sides[i]->line) : UINT64_MAX;
            if (sides[i]->line.used == 0 && other(sides[i])->shut) {
                due = UINT64_MAX;
            }
            uint64_t room = sides[i]->readable ? delay_line_room_at(&sides[i]->line) : UINT64_MAX;
            next = due < next ? due : next;
            next = room < next ? room : next;
        }
    }
    return next;
}

static void wait_events(int listener)
{
    struct epoll_event events[EVENTS];
    uint64_t next = next_time(), now = now_ns();
    struct timespec wait = {0};
    if (next != UINT64_MAX && next > now) {
        wait.tv_sec = (time_t)((next - now) / 1000000000u);
        wait.tv_nsec = (long)((next - now) % 1000000000u);
    }
    int count = epoll_pwait2(epoll_fd, events, EVENTS, next == UINT64_MAX ? NULL : &wait, NULL);
    for (int i = 0; i < count; i++) {
        struct side *side = events[i].data.ptr;
        if (!side) {
            accept_one(listener);
            continue;
        }
        side->readable |= (events[i].events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
        side->writable |= (events[i].events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0;
    }
}

static int listen_somewhere(void)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(name);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&name, size) < 0 || listen(fd, SOMAXCONN) < 0 ||
        getsockname(fd, (struct sockaddr *)&name, &size) < 0) {
        return -1;
    }
    printf("%u\n", ntohs(name.sin_port));
    fflush(stdout);
    return fd;
}

int delay_relay_main(int argc, char **argv)
{
    if (argc != 4 || address_parse(argv[1], &destination) < 0 ||
        options_parse_rate(argv[3], &bytes_per_second) < 0) {
        return 2;
    }
    delay_ns = (uint64_t)(strtod(argv[2], NULL) * 1e6 / 2);
    pairs.next = pairs.previous = &pairs;
    signal(SIGPIPE, SIG_IGN);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    int listener = listen_somewhere();
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (listener < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event) < 0) {
        return 2;
    }
    for (;;) {
        wait_events(listener);
        for (struct pair *pair = pairs.next, *next; pair != &pairs; pair = next) {
            next = pair->next;
            move(pair);
            if (pair->over) {
                drop(pair);
            }
        }
    }
}
