/* `connect` by a login: before it serves, its sockets are made, or found, by the API; what was made
 * is taken back at the end. */
#pragma once

#include "agent/client.h"
#include "agent/connect_settings.h"

struct connect_login_socket {
    char *socket_id, *tunnel_id; /* as segments of a path */
    bool is_new;                 /* made here: to be deleted; else the tunnel is */
};

struct connect_login {
    struct client client;
    struct client_settings settings; /* strings are borrowed of the request */
    struct connect_login_socket *sockets;
    size_t count;
};

/* Fills request->reach, and the services with what their sockets are. Prints the table. Complains
 * itself. connect_login_end() in any case. */
enum client_status connect_login_begin(struct connect_login *login, struct connect_request *request)
    __attribute__((warn_unused_result));
/* token: a newer one than the login's, or NULL. */
void connect_login_end(struct connect_login *login, const char *token);

/* Where the tunnel goes and who we are: `tunnel_server` of the API, unless --server is there. 0, or
 * -1 with a sentence. */
int connect_login_reach(struct reach *reach, const struct reach_settings *settings,
                        const struct login *login, const char *tunnel_server, char *error,
                        size_t error_size) __attribute__((warn_unused_result));
/* A service is registered with what its socket has, so that nothing of it changes. object: of the
 * API. 0, or -1 with a sentence: it is of another type, or says no name. */
int connect_login_adopt(struct service *service, const json_t *object, char *error,
                        size_t error_size) __attribute__((warn_unused_result));
