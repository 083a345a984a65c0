/* What the API's files share. To add a route: a handler in the file of its subject, a line in the
 * table of api_routes.c, and its description in openapi.json.
 *
 *   api.c                  from a request to its handler, from a handler to the answer
 *   api_routes.c           the table, and what a path means
 *   api_answer.c           answers and errors; which error is which status
 *   api_json.c             values out of a request's body
 *   api_cache.c            rendered lists of sockets; api_text.c: what several answers send
 *   api_password.c         a socket's password is hashed beside the loop
 *   api_login.c, api_user.c, api_token.c, api_page.c, api_openapi.c
 *   api_socket.c           sockets; api_socket_json.c: one as JSON, api_socket_values.c: one from
 * it api_tunnel.c           a socket's tunnels; api_tunnels.c: the index of them api_admin.c the
 * operator's users; api_admin_live.c: the rest that is the operator's
 *
 * A handler runs once for a request, and sees to it that one of the api_answer_...() is called once
 * for it, then or later.
 */
#pragma once

#include <jansson.h>

#include "control/api.h"
#include "control/api_text.h"
#include "net/login_delay.h"
#include "net/work.h"

#define API_IDS_MAX 2 /* in a path */

struct api_call;

enum api_who { API_ANYBODY, API_ACCOUNT, API_OPERATOR };

struct api_route {
    const char *method, *path; /* "/socket/{socket_id}" */
    enum api_who who;
    bool has_body; /* JSON, an object; none is as an empty one */
    void (*run)(struct api_call *call);
};

/* A request on its way. The fields of a handler's own are for what has to wait. */
struct api_call {
    struct api_call *previous, *next; /* of all */
    struct api_call *next_ready;
    struct api *api;
    api_on_answer *on_answer;
    void *user;
    const struct api_route *route;
    char *ids[API_IDS_MAX]; /* of the path, decoded */
    char *query, *if_none_match;
    json_t *body;            /* an object; NULL for a route without one */
    struct account *account; /* a reference; NULL for API_ANYBODY and API_OPERATOR */
    struct jwt_claims claims;
    union address address;
    /* the answer */
    int status;
    const char *content_type;
    char head[128];
    char *text; /* json_dumps'; or */
    struct api_text *shared;
    const char *fixed;
    size_t length;
    bool is_ready;
    /* of handlers */
    struct api_socket_values *values; /* freed with the call */
    struct socket_facts *facts;       /* a reference */
    struct api_tunnel_entry *entry;   /* the index's */
    struct api_hashing *hashing;      /* under way */
    json_t *list;
    uint64_t account_id, number;
    bool is_connect, is_new, takes_gzip;
};

struct api_cache_entry {
    struct api_cache_entry *previous, *next; /* the one used last first */
    struct account *account;                 /* a reference: its values are in the text */
    uint64_t version;                        /* sockets_version() */
    struct api_text *text;
};

struct api {
    struct loop *loop;
    struct accounts *accounts;
    struct store *store;
    struct api_host host;
    enum api_registration registration;
    char *public_url;
    struct api_call *calls;
    struct api_call *first_ready, *last_ready;
    struct loop_deferred deferred;
    struct login_delay *registrations; /* each by its address and e-mail: it costs a hash and a mail
                                        */
    struct work_queue *hashing;
    struct api_hashing *hashings; /* under way, of calls that are still there */
    struct api_tunnels *tunnels;
    struct api_cache_entry *cache; /* a list */
    size_t cached;
};

/* --- api_routes.c --- */

const struct api_route *api_routes(size_t *ret_count);
enum api_found { API_FOUND, API_NOT_FOUND, API_OTHER_METHOD, API_BAD_PATH };
/* The route of a method and path, and the ids in it, malloced. ret_allow: which methods there are,
 * with API_OTHER_METHOD. HEAD is as GET. */
enum api_found api_routes_find(const char *method, const char *path, bool is_operator,
                               const struct api_route **ret_route, char *ret_ids[API_IDS_MAX],
                               char ret_allow[64]);
/* The value of a key of a query, decoded; malloced. NULL: it isn't there, can't be decoded, or no
 * memory. */
char *api_routes_query(const char *query, const char *key);

/* --- api_answer.c --- */

/* Takes the object; NULL is one that memory ran out for. */
void api_answer_json(struct api_call *call, json_t *object);
void api_answer_nothing(struct api_call *call); /* 204 */
/* call->list, which is NULL once memory has run out. The first takes the object. */
void api_list_append(struct api_call *call, json_t *object);
void api_answer_list(struct api_call *call);
void api_answer_shared(struct api_call *call, struct api_text *text);
/* body: static, or freed with the call. */
void api_answer_fixed(struct api_call *call, int status, const char *content_type, const char *body,
                      size_t length);
/* retry_after: seconds, 0 for none. */
void api_answer_error(struct api_call *call, int status, const char *code, unsigned retry_after,
                      const char *format, ...) __attribute__((format(printf, 5, 6)));
void api_answer_memory(struct api_call *call);
void api_answer_unknown(struct api_call *call, const char *what); /* 404: "no such WHAT" */
void api_answer_login(struct api_call *call, const char *code, const char *message); /* 401 */
/* 503: what couldn't be written is as it was. */
void api_answer_store(struct api_call *call);
/* enum account_error, enum registry_error: not 0. wait: microseconds. */
void api_answer_account_error(struct api_call *call, int error, uint64_t wait);
void api_answer_registry_error(struct api_call *call, int error);
/* The answer is there: it goes out in this turn. */
void api_call_ready(struct api_call *call);

/* --- api_json.c --- */

/* Reads a request's body, strictly. The reason is a sentence. 0 or -1. */
int api_json_parse(const char *text, size_t length, json_t **ret_object, char *reason, size_t size)
    __attribute__((warn_unused_result));

/* Values out of an object; null is as one that isn't there. The first fault is kept. */
struct api_values {
    json_t *object;
    char fault[256]; /* a sentence, "" while all is well */
};
void api_values_fault(struct api_values *values, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
bool api_values_has(const struct api_values *values, const char *key);
/* Borrowed of the object. A line of least to most bytes, without control characters; NULL: it isn't
 * there, or a fault. */
const char *api_values_line(struct api_values *values, const char *key, size_t least, size_t most);
/* The same, with whatever characters. */
const char *api_values_text(struct api_values *values, const char *key, size_t least, size_t most);
/* A fault when it isn't there. */
const char *api_values_needed_line(struct api_values *values, const char *key, size_t least,
                                   size_t most);
const char *api_values_needed_text(struct api_values *values, const char *key, size_t least,
                                   size_t most);
/* *ret_ is left alone when it isn't there, or a fault. */
void api_values_flag(struct api_values *values, const char *key, bool *ret_flag);
void api_values_number(struct api_values *values, const char *key, uint64_t most,
                       uint64_t *ret_number);
void api_values_number32(struct api_values *values, const char *key, uint32_t *ret_number);
/* A list of texts as one with commas between, malloced; NULL: it isn't there, or a fault. */
char *api_values_joined(struct api_values *values, const char *key, size_t most);
/* Answers with the fault, if there is one. */
bool api_values_refuse(const struct api_values *values, struct api_call *call);

/* --- api_cache.c --- */

/* The account's list of sockets, rendered; borrowed until the next turn. NULL: no memory. */
struct api_text *api_cache_get(struct api *api, struct account *account);
void api_cache_drop(struct api *api, const char *owner); /* NULL: all */

/* --- api_password.c --- */

#define API_HASHING_THREADS 1
#define API_HASHING_MAX     32 /* waiting: some 2 s of work */

int api_password_open(struct api *api) __attribute__((warn_unused_result)); /* 0 or -1 */
void api_password_close(struct api *api);
/* Hashes the password of call->values into its access, then goes on with `then`; when there is
 * none, at once. Answers itself when it can't be. */
void api_password_hash(struct api_call *call, void (*then)(struct api_call *call));
void api_password_forget(struct api_call *call); /* the call ends */

/* --- api_socket_values.c --- */

/* What a body asks of a socket. Texts are borrowed of the body, and of the socket before. */
struct api_socket_values {
    const char *name, *hostname, *description; /* NULL: not given */
    const char *host_header;                   /* given, or as before; NULL or "": none */
    enum socket_type type;                     /* given, or as before, or http */
    bool https_only;                           /* given, or as before */
    bool has_access;                           /* some of it was given */
    struct socket_access *access;              /* as before, with what was given */
    const char *password;                      /* to be hashed; NULL: none */
};
/* before: the socket that is there already, or NULL. is_change: it alone is meant; its type and
 * host name stay as they are. NULL: answered already. */
struct api_socket_values *api_socket_values_read(struct api_call *call,
                                                 const struct socket_facts *before, bool is_change);
void api_socket_values_free(struct api_socket_values *values); /* NULL is fine */

/* --- api_socket_json.c --- */

/* user_name: of the owner. NULL: no memory. */
json_t *api_socket_json(struct api *api, const struct socket_facts *facts, size_t agents,
                        const char *user_name);
/* What people call an owner: the account's e-mail, else the owner itself. */
const char *api_socket_user_name(struct api *api, const char *owner);
/* Answers with the socket as it is now. */
void api_socket_answer(struct api_call *call, const struct socket_facts *facts);

/* --- api_socket.c --- */

/* The account's socket of the path; NULL: answered with 404. */
struct socket_facts *api_socket_find(struct api_call *call);
/* Removes it, and answers: whoever may has been asked before. */
void api_socket_remove(struct api_call *call, struct socket_facts *facts);
/* Tells what depends on it that the socket is no more. */
void api_socket_gone(struct api *api, const struct socket_facts *facts);

/* --- api_tunnels.c --- */

#define API_TUNNELS_MAX 32 /* of a socket */

struct api_tunnel_entry;

int api_tunnels_open(struct api *api, char *error, size_t error_size)
    __attribute__((warn_unused_result)); /* 0 or -1 */
void api_tunnels_close(struct api *api);
size_t api_tunnels_count(const struct api *api, uint64_t socket); /* those to come, too */
/* A list of the socket's, as JSON. NULL: no memory. */
json_t *api_tunnels_json(const struct api *api, const struct socket_facts *facts);
json_t *api_tunnels_entry_json(const struct api *api, const struct socket_facts *facts,
                               const struct api_tunnel_entry *entry);
/* Not seen until api_tunnels_commit(). NULL: no memory. */
struct api_tunnel_entry *api_tunnels_add(struct api *api, uint64_t socket);
struct api_tunnel_entry *api_tunnels_find(const struct api *api, uint64_t socket, const char *uuid);
const struct stored_tunnel *api_tunnels_stored(const struct api_tunnel_entry *entry);
void api_tunnels_commit(struct api_tunnel_entry *entry);
void api_tunnels_remove(struct api *api, struct api_tunnel_entry *entry);
void api_tunnels_remove_socket(struct api *api, uint64_t socket);

/* --- api_tunnel.c --- */

/* A tunnel of call->facts for POST /connect: answers with the socket. */
void api_tunnel_connect(struct api_call *call);

/* --- api_token.c --- */

json_t *api_token_json(const struct device_token *token, uint64_t last_used);
/* The account's new token, of the body. */
void api_token_make(struct api_call *call, uint64_t account);

/* Answers with 204, or the error: an accounts_on_done. */
void api_token_revoked(void *user, int error);

/* --- api_user.c --- */

json_t *api_user_json(struct api *api, const struct account *account);
/* Answers with the account, or the error: an accounts_on_account. */
void api_user_answer(void *user, int error, const struct account *account, uint64_t wait);
/* Answers with 204, or the error: an accounts_on_done. */
void api_user_done(void *user, int error);
/* name, e-mail, password and sshkey of a body; `needed`: of a new account. */
void api_user_values(struct api_values *values, bool needed, struct account_values *ret_values);

/* --- the handlers --- */

void api_user_create(struct api_call *call);
void api_user_show(struct api_call *call);
void api_user_change(struct api_call *call);
void api_login_login(struct api_call *call);
void api_login_refresh(struct api_call *call);
void api_login_logout(struct api_call *call);
void api_socket_list(struct api_call *call);
void api_socket_create(struct api_call *call);
void api_socket_show(struct api_call *call);
void api_socket_change(struct api_call *call);
void api_socket_delete(struct api_call *call);
void api_socket_connect(struct api_call *call);
void api_tunnel_list(struct api_call *call);
void api_tunnel_create(struct api_call *call);
void api_tunnel_show(struct api_call *call);
void api_tunnel_delete(struct api_call *call);
void api_token_list(struct api_call *call);
void api_token_create(struct api_call *call);
void api_token_delete(struct api_call *call);
void api_page_confirm(struct api_call *call);
void api_page_health(struct api_call *call);
void api_openapi_show(struct api_call *call);
void api_admin_list_users(struct api_call *call);
void api_admin_create_user(struct api_call *call);
void api_admin_show_user(struct api_call *call);
void api_admin_change_user(struct api_call *call);
void api_admin_delete_user(struct api_call *call);
void api_admin_list_quotas(struct api_call *call);
void api_admin_set_quota(struct api_call *call);
void api_admin_list_tokens(struct api_call *call);
void api_admin_create_token(struct api_call *call);
void api_admin_delete_token(struct api_call *call);
void api_admin_list_sockets(struct api_call *call);
void api_admin_show_socket(struct api_call *call);
void api_admin_delete_socket(struct api_call *call);
void api_admin_list_tunnels(struct api_call *call);
void api_admin_close_tunnel(struct api_call *call);
void api_admin_backup(struct api_call *call);
