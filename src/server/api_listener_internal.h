/* What the files of the API's listener share. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "edge/http_date.h"
#include "net/acceptor.h"
#include "net/conn.h"
#include "server/api_listener.h"

struct api_client;

struct api_listener {
    struct loop *loop;
    struct api *api;
    struct api_listener_options options;
    struct tls_context *tls;
    struct acceptor **acceptors; /* of options.address_count */
    union address *addresses;
    size_t open; /* of them */
    struct acceptor *admin;
    char *admin_path;
    dev_t admin_device; /* which file is ours, should somebody put another in its place */
    ino_t admin_inode;
    struct api_client *clients;
    size_t client_count, operator_count;
    uint64_t refused_logged_at;
    bool is_draining;
    struct http_date date;
    char scratch[65536]; /* what was read, on its way to a client's reader */
};

/* --- api_client.c --- */

/* Takes fd, also when there is no memory for it. is_operator: by the unix socket, without TLS. */
void api_client_open(struct api_listener *listener, int fd, const void *left, size_t left_size,
                     const union address *peer, bool is_operator);
/* The one that waits for nothing closes, others after their answer. */
void api_client_drain(struct api_client *client);
void api_client_drop_all(struct api_listener *listener);

/* --- api_unix.c --- */

/* Listens; a file that nobody listens at is replaced. 0, or -1 with a sentence. */
int api_unix_listen(const char *path, int *ret_fd, dev_t *ret_device, ino_t *ret_inode, char *error,
                    size_t error_size) __attribute__((warn_unused_result));
/* Is it root, or who runs this server? Others get a line in the log. */
bool api_unix_may_enter(int fd);
void api_unix_remove(const char *path, dev_t device, ino_t inode);
