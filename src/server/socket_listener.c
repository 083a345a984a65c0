#include "server/socket_listener.h"

#include <errno.h>
#include <stdlib.h>

/* Without memory a listener isn't added (its table stays NULL); uthash would end the process. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct socket_listener {
    UT_hash_handle hh;
    uint64_t id;
    struct listening *listening;
};

static struct socket_listener *find(const struct socket_listeners *listeners, uint64_t id)
{
    struct socket_listener *listener;
    HASH_FIND(hh, listeners->by_id, &id, sizeof id, listener);
    return listener;
}

static void free_listener(struct socket_listener *listener)
{
    if (listener->listening)
        listening_stop(listener->listening);
    listening_unref(listener->listening);
    free(listener);
}

int socket_listener_open(struct socket_listeners *listeners, const union address *bind,
                         const struct socket_facts *facts)
{
    union address address = *bind;
    if (find(listeners, facts->id))
        return 0;
    struct socket_listener *listener = calloc(1, sizeof *listener);
    if (!listener)
        return -ENOMEM;
    listener->id = facts->id;
    address_set_port(&address, facts->port);
    int error = listening_open(&address, &listener->listening);
    if (error == 0) {
        listening_set_keepalive(listener->listening);
        HASH_ADD(hh, listeners->by_id, id, sizeof listener->id, listener);
        error = listener->hh.tbl ? 0 : -ENOMEM;
    }
    if (error)
        free_listener(listener);
    return error;
}

struct listening *socket_listener_find(const struct socket_listeners *listeners, uint64_t id)
{
    const struct socket_listener *listener = find(listeners, id);
    return listener ? listener->listening : NULL;
}

void socket_listener_close(struct socket_listeners *listeners, uint64_t id)
{
    struct socket_listener *listener = find(listeners, id);
    if (!listener)
        return;
    HASH_DEL(listeners->by_id, listener);
    free_listener(listener);
}

void socket_listener_close_all(struct socket_listeners *listeners)
{
    while (listeners->by_id)
        socket_listener_close(listeners, listeners->by_id->id);
}
