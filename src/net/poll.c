#include "net/poll.h"

#include <errno.h>
#include <stdlib.h>
#include <uv.h>

struct poll {
    uv_poll_t handle; /* its data is the poll */
    int fd;
    poll_on_ready *on_ready;
    void *user;
};

static void handle_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void handle_ready(uv_poll_t *handle, int status, int events)
{
    struct poll *poll = handle->data;
    bool failed = status < 0;
    poll->on_ready(poll->user, poll->fd, failed || (events & UV_READABLE),
                   failed || (events & UV_WRITABLE));
}

int poll_open(struct loop *loop, int fd, poll_on_ready *on_ready, void *user,
              struct poll **ret_poll)
{
    struct poll *poll = calloc(1, sizeof(*poll));
    if (!poll) {
        return -ENOMEM;
    }
    int status = uv_poll_init(loop_uv(loop), &poll->handle, fd);
    if (status < 0) {
        free(poll);
        return status;
    }
    poll->handle.data = poll;
    poll->fd = fd;
    poll->on_ready = on_ready;
    poll->user = user;
    *ret_poll = poll;
    return 0;
}

void poll_want(struct poll *poll, bool readable, bool writable)
{
    int events = (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0);
    if (!events) {
        uv_poll_stop(&poll->handle);
        return;
    }
    /* Can't fail: the descriptor was accepted by uv_poll_init() and is open. */
    (void)uv_poll_start(&poll->handle, events, handle_ready);
}

void poll_close(struct poll *poll)
{
    if (poll) {
        uv_close((uv_handle_t *)&poll->handle, handle_closed);
    }
}
