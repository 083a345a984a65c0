/* What the files of sockets share: sockets.c (an agent's questions, life) and sockets_change.c
 * (what the API changes). */
#pragma once

#include <stdatomic.h>

#include "control/store.h"
#include "server/socket_listener.h"
#include "server/sockets.h"

/* A socket on its way to disk, and the questions that wait for it: the one that caused it first. */
struct storing {
    struct storing *next, **link;
    struct sockets *sockets;
    struct socket_facts *facts;
    struct socket_question *first, **last;
};

struct sockets {
    atomic_int references; /* the owner's, and one for each message on its way */
    struct config *config;
    struct sockets_host host;
    struct registry *registry; /* NULL: closed */
    struct store *store;
    struct socket_listeners listeners;
    struct loop *loop;
    struct storing *storing;
    struct socket_removal *removals; /* on their way to disk */
    bool is_draining;
};

/* The facts, which are reserved in the registry, go to disk, and the question waits for them. */
void sockets_store_for(struct sockets *sockets, struct socket_question *question,
                       struct socket_facts *facts);
/* The answer: no more is done. */
void sockets_finish(struct sockets *sockets, struct socket_question *question, int error,
                    struct socket_facts *facts);
/* A change that the API asks for (question->wanted). */
void sockets_consider_change(struct sockets *sockets, struct socket_question *question);
void sockets_drop_removals(struct sockets *sockets);
/* May the question's token serve the socket that the claim will find or make? */
bool sockets_is_in_scope(const struct sockets *sockets, const struct socket_question *question);
/* Is that the API's name? Nobody else can have it. */
bool sockets_is_reserved(const struct sockets *sockets, const char *hostname);
