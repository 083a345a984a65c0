/* The rig's server: one that is started, or one that runs. For rig.c. */
#pragma once

#include "bench/rig.h"

#define RIG_PATH_SIZE 128

/* Below it are the sockets' names, and its certificate is for all of them. */
#define RIG_EDGE_DOMAIN "edge.localhost"

/* Below those that the kernel gives to connections: a port has to be free again when the server
 * comes back. */
#define RIG_EDGE_PORTS "21000-21999"

/* A file in the rig's own folder. */
void rig_path(const struct rig *rig, const char *name, char path[RIG_PATH_SIZE]);

/* The others return 0, or -1 with a sentence in `error`. */

/* A token of our own, in the file "bench-token" of the folder. */
int rig_make_token(struct rig *rig, char *error, size_t error_size)
    __attribute__((warn_unused_result));
/* Starts one of this program, or of --server-program, and waits until it listens. */
int rig_start_server(struct rig *rig, char *error, size_t error_size)
    __attribute__((warn_unused_result));
/* --server and what belongs to it. */
int rig_find_server(struct rig *rig, char *error, size_t error_size)
    __attribute__((warn_unused_result));
int rig_find_token(struct rig *rig, char *error, size_t error_size)
    __attribute__((warn_unused_result));
