#include "bench/client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Source addresses in turn: 127.1.0.1 ... 127.1.255.250, so that no cap per address is met. */
#define SOURCES 64000u

uint64_t client_now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void on_timer(struct timer *timer)
{
    struct client *client = (struct client *)((char *)timer - offsetof(struct client, timer));
    loop_stop(client->loop);
}

static void on_again(struct loop_message *message)
{
    struct client *client =
        (struct client *)((char *)message - offsetof(struct client, again_message));
    client->again_posted = false;
    /* Those that ask anew from here on are for the next turn: they stand behind this mark. */
    struct client_again *mark = &client->again_mark;
    mark->next = &client->again;
    mark->previous = client->again.previous;
    mark->previous->next = mark;
    client->again.previous = mark;
    while (client->again.next != mark) {
        struct client_again *again = client->again.next;
        client_dont_go_on(again);
        again->run(again);
    }
    client_dont_go_on(mark);
}

int client_init(struct client *client, char *error, size_t error_size)
{
    int failed = loop_new(&client->loop);
    if (failed) {
        snprintf(error, error_size, "no event loop: %s", strerror(-failed));
        return -1;
    }
    timer_init(&client->timer, client->loop, on_timer);
    client->again_message.run = on_again;
    client->again.next = client->again.previous = &client->again;
    return 0;
}

void client_deinit(struct client *client)
{
    if (client->loop) {
        timer_stop(&client->timer);
        loop_free(client->loop);
        client->loop = NULL;
    }
}

void client_go_on(struct client *client, struct client_again *again)
{
    if (again->next) {
        return;
    }
    again->next = &client->again;
    again->previous = client->again.previous;
    again->previous->next = again;
    client->again.previous = again;
    if (!client->again_posted) {
        client->again_posted = true;
        loop_post(client->loop, &client->again_message);
    }
}

void client_dont_go_on(struct client_again *again)
{
    if (again->next) {
        again->previous->next = again->next;
        again->next->previous = again->previous;
        again->next = again->previous = NULL;
    }
}

bool client_wait(struct client *client, double seconds)
{
    client->woken = false;
    timer_start(&client->timer, loop_update_now(client->loop) + (uint64_t)(seconds * 1e6));
    loop_run(client->loop);
    timer_stop(&client->timer);
    return client->woken;
}

void client_wake(struct client *client)
{
    client->woken = true;
    loop_stop(client->loop);
}

static bool is_loopback(const union address *address)
{
    return address->any.sa_family == AF_INET && ntohl(address->v4.sin_addr.s_addr) >> 24 == 127;
}

static void move_host(union address *address, unsigned by)
{
    address->v4.sin_addr.s_addr = htonl(ntohl(address->v4.sin_addr.s_addr) + by);
}

union address client_next_target(struct client *client, const union address *target)
{
    union address address = *target;
    if (client->target_hosts > 1 && is_loopback(&address)) {
        move_host(&address, client->next_target++ % client->target_hosts);
    }
    return address;
}

int client_connect_from_many(struct client *client, const union address *to)
{
    int fd = socket(to->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    if (is_loopback(to)) {
        unsigned source = client->next_source++ % SOURCES;
        struct sockaddr_in from = {.sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl((127u << 24) + (1u << 16) +
                                                            source / 250 * 256 + source % 250 + 1)};
        if (bind(fd, (struct sockaddr *)&from, sizeof(from)) < 0) {
            close(fd);
            return -1;
        }
    }
    /* Blocking: on loopback the kernel answers at once. */
    if (connect(fd, &to->any, address_size(to)) < 0) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}
