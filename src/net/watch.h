/* Readiness of descriptors, mostly edge-triggered, for src/net only.
 *
 * libuv's uv_poll_t costs four to six epoll_ctl(2) per connection and two more for each change of
 * interest. A socket here is added once with EPOLLET to the epoll that the loop waits in; close(2)
 * takes it out. What has no watch any more gets no event, even if its number was reused in the same
 * batch.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "net/loop.h"

struct watches;

/* Embed it. run gets EPOLL* bits; it may remove any watch, its own, too. */
struct watch {
    void (*run)(struct watch *watch, uint32_t events);
    int fd; /* -1 while not watched */
    uint32_t events;
    bool is_level; /* told again in each turn while it is ready; by default only when it becomes so
                    */
};

int watches_new(struct watches **ret_watches) __attribute__((warn_unused_result));
void watches_free(struct watches *watches);
/* Waits for events, at most so many milliseconds (-1: for ever), and runs the watches of those that
 * came. */
void watches_wait(struct watches *watches, int milliseconds);

/* Watches for events (EPOLLET is added unless is_level), from now on; what is ready already is
 * told, too. 0 or a negative errno. */
int watch_add(struct loop *loop, struct watch *watch, int fd, uint32_t events)
    __attribute__((warn_unused_result));
/* Adds events; what is ready already is told again. 0 or a negative errno. */
int watch_extend(struct loop *loop, struct watch *watch, uint32_t events)
    __attribute__((warn_unused_result));
/* For a socket that lives on elsewhere. */
void watch_remove(struct loop *loop, struct watch *watch);
/* For a socket that the caller closes right after; saves a system call. */
void watch_forget(struct loop *loop, struct watch *watch);
