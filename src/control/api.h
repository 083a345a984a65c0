/* The REST API, without its connection: a request in, an answer out. HTTP is the listener's affair
 * (server/api_listener.h), sockets are the server's (struct api_host): the API sees values alone.
 *
 * Answers are JSON; errors are {"error":{"code":"...","message":"..."}}. Another account's ids are
 * unknown ones (404). The whole is described by /openapi.json (api_openapi.c), which tests check
 * against.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/address.h"
#include "control/accounts.h"
#include "control/store.h"
#include "net/loop.h"
#include "registry/registry.h"

struct api;
struct api_text;

#define API_BODY_MAX (64 * 1024) /* beyond it 413 */

struct api_request {
    const char *method, *path, *query; /* query without '?', "" without */
    const char *token;                 /* x-access-token or Authorization: Bearer; "" without */
    const char *content_type;          /* "" without */
    const char *body;                  /* NUL-terminated beyond body_length */
    size_t body_length;
    union address address;     /* the client's */
    bool is_operator;          /* by the admin socket: /admin/... is there */
    const char *if_none_match; /* "" or NULL without */
    bool takes_gzip;           /* the client reads a packed body, too */
};

struct api_answer {
    int status;
    const char *content_type; /* "application/json" mostly */
    const char *head;         /* further lines, each with CRLF, or "" */
    const char *body;
    size_t body_length;
    struct api_text *shared; /* what body lies in, for who wants to keep it (api_text_ref()); NULL:
                                it is gone after the call */
};

/* The answer is borrowed until return. Comes once, never before api_handle() returns. That to HEAD
 * has GET's body: the listener leaves it out. */
typedef void api_on_answer(void *user, const struct api_answer *answer);

/* A tunnel, as the operator and the API see it. */
struct api_tunnel {
    const char *owner, *address, *token; /* token: the uuid of its device token, "" for others */
    uint64_t id, since;                  /* since: seconds since 1970 */
    uint64_t rtt;                        /* microseconds, 0: not known */
    uint64_t substreams, bytes_in, bytes_out;
};

/* What the server does for the API, on the main loop. */
struct api_host {
    /* As an agent's claim, but not online; or a change of the facts of a socket (facts->id).
     * on_done gets the facts, or an enum registry_error. */
    void (*claim_socket)(void *user, const struct socket_claim *claim,
                         void (*on_done)(void *done_user, int error, struct socket_facts *facts),
                         void *done_user);
    void (*change_socket)(void *user, struct socket_facts *facts,
                          void (*on_done)(void *done_user, int error, struct socket_facts *facts),
                          void *done_user);
    void (*remove_socket)(void *user, uint64_t id, void (*on_done)(void *done_user, int error),
                          void *done_user);
    struct socket_facts *(*find_socket)(void *user, const char *uuid);
    /* Every socket of an owner (NULL: all), in the order of their ids. */
    void (*each_socket)(void *user, const char *owner,
                        void (*each)(void *each_user, struct socket_facts *facts, size_t agents),
                        void *each_user);
    /* Changes whenever any socket of the owner does: a rendered list is good as long as it is the
     * same. */
    uint64_t (*sockets_version)(void *user, const char *owner);
    /* Asks every worker; on_done comes when all have told. */
    void (*list_tunnels)(void *user, const char *owner,
                         void (*each)(void *done_user, const struct api_tunnel *tunnel),
                         void (*on_done)(void *done_user), void *done_user);
    void (*close_tunnel)(void *user, uint64_t id, void (*on_done)(void *done_user, bool found),
                         void *done_user);
    /* "https://NAME" or "NAME:PORT", as visitors use it. */
    void (*socket_url)(void *user, const struct socket_facts *facts, char *buffer, size_t size);
    const char *(*tunnel_server)(
        void *user); /* "tunnel.example:5005": where `tunnel connect` goes */
    /* A mail, or NULL when there is no --smtp-url: then the link is logged. */
    void (*send_mail)(void *user, const char *to, const char *subject, const char *text);
    int (*backup)(void *user, const char *file, void (*on_done)(void *done_user, const char *error),
                  void *done_user);
    void *user;
};

enum api_registration { API_CLOSED, API_CONFIRM, API_OPEN };

struct api_options {
    enum api_registration registration;
    const char *public_url; /* "https://api.example": for the link of a confirmation */
};

/* Loads the tunnels of sockets from the store. host and options are copied. 0, or -1 with a
 * sentence. */
int api_new(struct loop *loop, struct accounts *accounts, struct store *store,
            const struct api_host *host, const struct api_options *options, struct api **ret_api,
            char *error, size_t error_size) __attribute__((warn_unused_result));
/* After a reload; whatever the host's URLs depend on may have changed, too. 0, or -1 without
 * memory, and then all is as before. */
int api_configure(struct api *api, const struct api_options *options)
    __attribute__((warn_unused_result));
/* Open requests end without an answer. Neither accounts, nor store, nor host may call back what it
 * was asked any more: free it in the turn in which they are closed. NULL is fine. */
void api_free(struct api *api);
/* Strings of the request are borrowed until this returns. */
void api_handle(struct api *api, const struct api_request *request, api_on_answer *on_answer,
                void *user);
