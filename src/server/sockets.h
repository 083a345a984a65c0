/* The main thread's side of sockets: registry, store, and the listeners of sockets with ports.
 *
 *   agent's message -> worker (registration.c) -> sockets_ask() -> claim -> store -> commit, online
 *   -> change to every worker's directory -> answer to the worker -> agent
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "net/listening.h"
#include "net/loop.h"
#include "registry/registry.h"
#include "server/config.h"
#include "server/grant.h"

struct sockets;
struct worker;

/* What the server does for it; all on the main loop. */
struct sockets_host {
    /* To each worker's directory; takes references of its own. */
    void (*publish)(void *user, const struct registry_change *change);
    void (*close_tunnel)(void *user, struct tunnel_ref ref, const char *reason);
    /* The worker has one presence more, or less, of a socket with a port: as long as there is any,
     * it accepts there. The callee takes a reference to listening. */
    void (*accept)(void *user, unsigned worker, uint64_t socket, struct listening *listening);
    void (*stop_accepting)(void *user, unsigned worker, uint64_t socket);
    void *user;
};

/* Opens the store in the state folder and loads it: publish is called for each stored socket. The
 * configuration, of which a reference is kept, has the real ports of the edge's listeners by then
 * (config_set_edge_ports()): they stand in the URLs. 0, or -1 with a sentence. */
int sockets_open(struct loop *loop, struct config *config, const struct sockets_host *host,
                 struct sockets **ret_sockets, char *error, size_t error_size)
    __attribute__((warn_unused_result));
/* After a reload: 0, or -ENOMEM, and then all is as before. Listeners that are open stay where they
 * are. */
int sockets_configure(struct sockets *sockets, struct config *config)
    __attribute__((warn_unused_result));
/* Nothing is registered any more, listeners of ports close; who is online stays so. */
void sockets_drain(struct sockets *sockets);
/* What is on its way to disk gets there. When no worker's thread asks any more, and before
 * loop_free(): questions that are still on their way then are freed unanswered. NULL is fine. */
void sockets_close(struct sockets *sockets);
/* Every socket and who serves it, for a directory made later. */
void sockets_each(struct sockets *sockets,
                  void (*each)(void *user, const struct registry_change *change), void *user);

/* A question from a worker's loop: make it, fill it, ask; `answered` runs on reply_to as a message
 * with error, facts and port set, and frees it with socket_question_free(). */
struct socket_question {
    struct loop_message message; /* first */
    struct loop *reply_to;
    void (*answered)(struct loop_message *message);
    void *user; /* the worker */
    struct tunnel_ref ref;
    char owner[REGISTRY_OWNER_MAX + 1];
    char name[REGISTRY_NAME_MAX + 1];
    char service[65];
    char instance[REGISTRY_INSTANCE_MAX + 1];
    char hostname[REGISTRY_HOST_MAX + 1];    /* "": none asked for */
    char host_header[REGISTRY_HOST_MAX + 8]; /* "": none */
    enum socket_type type;
    bool https_only;
    struct grant *grant; /* a reference: what the asking tunnel's token allows; NULL: all */
    /* The API's; NULL and false for agents. */
    bool is_offline;              /* nobody serves it yet: ref doesn't count */
    char *description;            /* malloced */
    struct socket_access *access; /* its own */
    struct socket_facts *wanted;  /* a reference: a socket's new facts, instead of a claim */
    /* while it is asked */
    struct sockets *sockets;
    struct socket_question *next; /* in line for the same socket */
    bool is_gone;                 /* its tunnel went away meanwhile */
    /* the answer */
    int error;                  /* enum registry_error */
    struct socket_facts *facts; /* a reference, when error is 0 */
    char
        url[REGISTRY_HOST_MAX + 32]; /* "https://a.example" or "a.example:41000", as users get it */
    uint16_t port;                   /* as visitors use it */
};
struct socket_question *socket_question_new(void) __attribute__((warn_unused_result));
void socket_question_free(struct socket_question *question); /* NULL is fine */
/* From any thread. Takes the question. */
void sockets_ask(struct sockets *sockets, struct loop *main_loop, struct socket_question *question);
/* On the main loop. 0, and on_done comes when the socket is no more, on disk too, while its tunnels
 * stay; with an error it is as it was. Or an enum registry_error, and on_done doesn't come. */
int sockets_remove(struct sockets *sockets, uint64_t id, void (*on_done)(void *user, int error),
                   void *user) __attribute__((warn_unused_result));
/* On the main loop, borrowed: to be asked, and not changed. */
struct registry *sockets_registry(struct sockets *sockets);
struct store *sockets_store(struct sockets *sockets);
/* From any thread: a tunnel that had registered something is gone. */
void sockets_tunnel_gone(struct sockets *sockets, struct loop *main_loop, struct tunnel_ref ref);
