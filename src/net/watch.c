#include "net/watch.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/loop_internal.h"

/* Few enough not to keep timers waiting. */
#define BATCH 256

/* A generation tells an event of a closed socket from one of its number's next owner: while a child
 * is being started it holds copies of all our sockets, and close(2) doesn't take them out of the
 * epoll until it has execed. */
struct entry {
    struct watch *watch;
    uint32_t generation;
};

struct watches {
    struct entry *entries; /* by fd */
    int size;
    int epoll;
};

static void run_batch(struct watches *watches, const struct epoll_event *events, int count)
{
    for (int i = 0; i < count; i++) {
        uint32_t fd = (uint32_t)events[i].data.u64;
        uint32_t generation = (uint32_t)(events[i].data.u64 >> 32);
        const struct entry *entry = &watches->entries[fd];
        if (entry->watch && entry->generation == generation)
            entry->watch->run(entry->watch, events[i].events);
    }
}

void watches_wait(struct watches *watches, int milliseconds)
{
    struct epoll_event events[BATCH];
    int count = epoll_wait(watches->epoll, events, BATCH, milliseconds);
    if (count > 0)
        run_batch(watches, events, count);
}

int watches_new(struct watches **ret_watches)
{
    struct watches *watches = calloc(1, sizeof *watches);
    if (!watches)
        return -ENOMEM;
    watches->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (watches->epoll < 0) {
        int error = -errno;
        free(watches);
        return error;
    }
    *ret_watches = watches;
    return 0;
}

void watches_free(struct watches *watches)
{
    close(watches->epoll);
    free(watches->entries);
    free(watches);
}

static int grow(struct watches *watches, int fd)
{
    int size = watches->size ? watches->size : 64;
    while (size <= fd)
        size += size / 2;
    struct entry *entries = realloc(watches->entries, (size_t)size * sizeof *entries);
    if (!entries)
        return -ENOMEM;
    memset(entries + watches->size, 0, (size_t)(size - watches->size) * sizeof *entries);
    watches->entries = entries;
    watches->size = size;
    return 0;
}

static int control(struct watches *watches, int operation, const struct watch *watch)
{
    uint64_t generation = watches->entries[watch->fd].generation;
    struct epoll_event event = {.events = watch->events | (watch->is_level ? 0 : EPOLLET),
                                .data.u64 = generation << 32 | (uint32_t)watch->fd};
    return epoll_ctl(watches->epoll, operation, watch->fd, &event) < 0 ? -errno : 0;
}

int watch_add(struct loop *loop, struct watch *watch, int fd, uint32_t events)
{
    struct watches *watches = loop_watches(loop);
    if (fd >= watches->size) {
        int error = grow(watches, fd);
        if (error < 0)
            return error;
    }
    assert(!watches->entries[fd].watch);
    watches->entries[fd].generation++;
    watch->fd = fd;
    watch->events = events;
    int error = control(watches, EPOLL_CTL_ADD, watch);
    if (error < 0) {
        watch->fd = -1;
        return error;
    }
    watches->entries[fd].watch = watch;
    return 0;
}

int watch_extend(struct loop *loop, struct watch *watch, uint32_t events)
{
    watch->events |= events;
    return control(loop_watches(loop), EPOLL_CTL_MOD, watch);
}

void watch_remove(struct loop *loop, struct watch *watch)
{
    if (watch->fd >= 0)
        (void)control(loop_watches(loop), EPOLL_CTL_DEL, watch);
    watch_forget(loop, watch);
}

void watch_forget(struct loop *loop, struct watch *watch)
{
    if (watch->fd >= 0)
        loop_watches(loop)->entries[watch->fd].watch = NULL;
    watch->fd = -1;
}
