/* The HTTP service: a process of its own, one epoll. Each request without a body is answered with
 * 1 KB, a WebSocket's opening with its 101, after which it is an echo. */
#include "bench/web_service.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/process.h"
#include "bench/shared.h"

#define EVENTS   256
#define HEAD_MAX 2048

struct web {
    int fd;
    bool listener, upgraded;
    size_t used;
    char head[]; /* HEAD_MAX; freed with the rest, so idle sockets cost it: no matter here */
};

static int epoll_fd;
static char answer[WEB_BODY_SIZE + 256], last_answer[WEB_BODY_SIZE + 256];
static size_t answer_size, last_answer_size;

const uint8_t *web_body(void)
{
    static uint8_t body[WEB_BODY_SIZE];
    if (!body[0]) {
        for (size_t i = 0; i < sizeof(body); i++) {
            body[i] = (uint8_t)('a' + (i * 7 + i / 26) % 26);
        }
    }
    return body;
}

static size_t make_answer(char *buffer, const char *more)
{
    int head = sprintf(buffer,
                       "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n%sContent-Length: %d\r\n"
                       "\r\n",
                       more, WEB_BODY_SIZE);
    memcpy(buffer + head, web_body(), WEB_BODY_SIZE);
    return (size_t)head + WEB_BODY_SIZE;
}

static void drop(struct web *web)
{
    close(web->fd);
    free(web);
}

static void watch(struct web *web)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = web};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, web->fd, &event);
}

static void accept_some(struct web *listener)
{
    for (int i = 0; i < 64; i++) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), on = 1;
        struct web *web = fd < 0 ? NULL : calloc(1, sizeof(*web) + HEAD_MAX);
        if (!web) {
            if (fd >= 0) {
                close(fd);
            }
            return;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        web->fd = fd;
        watch(web);
    }
}

/* A little for each request: it always fits, or the other side doesn't read and is dropped. */
static bool send_all(struct web *web, const void *bytes, size_t size)
{
    return send(web->fd, bytes, size, MSG_NOSIGNAL) == (ssize_t)size;
}

/* False when the connection is over. */
static bool answer_one(struct web *web, char *head)
{
    static const char upgrade[] =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Accept: " WEB_SOCKET_ACCEPT "\r\n\r\n";
    if (strcasestr(head, "\r\nupgrade: websocket\r\n")) {
        web->upgraded = true;
        return send_all(web, upgrade, sizeof(upgrade) - 1);
    }
    if (strcasestr(head, "\r\nconnection: close\r\n")) {
        send_all(web, last_answer, last_answer_size);
        return false;
    }
    return send_all(web, answer, answer_size);
}

static void read_requests(struct web *web)
{
    ssize_t got = recv(web->fd, web->head + web->used, HEAD_MAX - 1 - web->used, 0);
    if (got <= 0) {
        if (got == 0 || errno != EAGAIN) {
            drop(web);
        }
        return;
    }
    web->used += (size_t)got;
    while (!web->upgraded) {
        char *end = memmem(web->head, web->used, "\r\n\r\n", 4);
        if (!end) {
            if (web->used == HEAD_MAX - 1) {
                drop(web);
            }
            return;
        }
        end += 4;
        char next = *end;
        *end = 0;
        bool goes_on = answer_one(web, web->head);
        *end = next;
        web->used -= (size_t)(end - web->head);
        memmove(web->head, end, web->used);
        if (!goes_on) {
            drop(web);
            return;
        }
    }
    if (web->used && !send_all(web, web->head, web->used)) {
        drop(web);
        return;
    }
    web->used = 0;
}

int web_service_main(int argc, char **argv)
{
    (void)argv;
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(name);
    struct web *listener = calloc(1, sizeof(*listener));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (argc != 1 || !listener || fd < 0 || bind(fd, (struct sockaddr *)&name, size) < 0 ||
        listen(fd, SOMAXCONN) < 0 || getsockname(fd, (struct sockaddr *)&name, &size) < 0) {
        return 2;
    }
    process_raise_files();
    answer_size = make_answer(answer, "");
    last_answer_size = make_answer(last_answer, "Connection: close\r\n");
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    listener->fd = fd;
    listener->listener = true;
    watch(listener);
    printf("%u\n", ntohs(name.sin_port));
    fflush(stdout);
    for (;;) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(epoll_fd, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            struct web *web = events[i].data.ptr;
            if (web->listener) {
                accept_some(web);
            } else {
                read_requests(web);
            }
        }
    }
}
