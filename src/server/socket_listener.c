#include "server/socket_listener.h"

#include <errno.h>
#include <stdlib.h>

/* Without memory a listener isn't added (its table stays NULL); uthash would end the process. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "net/acceptor.h"

struct socket_listener {
    UT_hash_handle hh;
    uint64_t id;
    struct socket_listeners *all;
    struct socket_facts *facts;
    struct acceptor *acceptor;
};

static struct socket_listener *find(const struct socket_listeners *listeners, uint64_t id)
{
    struct socket_listener *listener;
    HASH_FIND(hh, listeners->by_id, &id, sizeof id, listener);
    return listener;
}

static void free_listener(struct socket_listener *listener)
{
    acceptor_close(listener->acceptor);
    socket_facts_unref(listener->facts);
    free(listener);
}

/* The listener may be closed by what the visitor sets off. */
static void on_accept(struct acceptor *acceptor, int fd, const union address *peer, void *user)
{
    struct socket_listener *listener = user;
    struct socket_facts *facts = socket_facts_ref(listener->facts);
    listener->all->on_visitor(listener->all->user, facts, fd, peer);
    socket_facts_unref(facts);
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
    listener->all = listeners;
    listener->facts = socket_facts_ref((struct socket_facts *)facts);
    address_set_port(&address, facts->port);
    int error = acceptor_open(listeners->loop, &address, on_accept, listener, &listener->acceptor);
    if (error == 0) {
        HASH_ADD(hh, listeners->by_id, id, sizeof listener->id, listener);
        error = listener->hh.tbl ? 0 : -ENOMEM;
    }
    if (error)
        free_listener(listener);
    return error;
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
