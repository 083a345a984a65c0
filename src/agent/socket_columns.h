/* Sockets and tunnels as tables; what an account and the operator do with one alike. */
#pragma once

#include "agent/client.h"

extern const struct client_column socket_list_columns[];
extern const struct client_column tunnel_list_columns[]; /* those that a socket was given */

/* Both complain themselves; socket_id may be NULL. prefix: "" or "/admin". */
enum client_status socket_show(struct client *client, const char *socket_id, const char *prefix)
    __attribute__((warn_unused_result));
enum client_status socket_delete(struct client *client, const char *socket_id, const char *prefix)
    __attribute__((warn_unused_result));
/* DELETE of prefix/ID, then the sentence. */
enum client_status client_delete(struct client *client, const char *prefix, const char *id,
                                 const char *what) __attribute__((warn_unused_result));
