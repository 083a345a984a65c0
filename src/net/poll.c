#include "net/poll.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "net/watch.h"

struct poll {
    struct watch watch; /* only while something is wanted: else an error would be told for ever */
    struct loop *loop;
    int fd;
    poll_on_ready *on_ready;
    void *user;
};

static void tell(struct watch *watch, uint32_t events)
{
    struct poll *poll = (struct poll *)(void *)((char *)watch - offsetof(struct poll, watch));
    bool failed = events & (EPOLLERR | EPOLLHUP);
    poll->on_ready(poll->user, poll->fd, failed || (events & EPOLLIN),
                   failed || (events & EPOLLOUT));
}

int poll_open(struct loop *loop, int fd, poll_on_ready *on_ready, void *user,
              struct poll **ret_poll)
{
    struct poll *poll = calloc(1, sizeof *poll);
    if (!poll)
        return -ENOMEM;
    *poll = (struct poll){
        .watch = {.run = tell, .fd = -1, .is_level = true},
        .loop = loop,
        .fd = fd,
        .on_ready = on_ready,
        .user = user,
    };
    /* tells now what can't be watched at all */
    int error = watch_add(loop, &poll->watch, fd, 0);
    if (error < 0) {
        free(poll);
        return error;
    }
    watch_remove(loop, &poll->watch);
    *ret_poll = poll;
    return 0;
}

void poll_want(struct poll *poll, bool readable, bool writable)
{
    uint32_t events = (readable ? EPOLLIN : 0) | (writable ? EPOLLOUT : 0);
    if (poll->watch.fd >= 0 && poll->watch.events == events)
        return;
    watch_remove(poll->loop, &poll->watch);
    /* For want of kernel memory alone: then the library's own time runs out. */
    if (events)
        (void)!watch_add(poll->loop, &poll->watch, poll->fd, events);
}

void poll_close(struct poll *poll)
{
    if (!poll)
        return;
    watch_remove(poll->loop, &poll->watch);
    free(poll);
}
