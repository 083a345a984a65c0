/* What the edge is compared with: sshd with `ssh -R`, and nginx. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct edge_rig;

/* Each starts and is waited for. 1: it runs; 0: it isn't installed, which the report is told; -1
 * with a sentence in `error`. ssh is first: nginx leads to its forwarded port, too. */
int edge_peers_start_ssh(struct edge_rig *edge, char *error, size_t error_size)
    __attribute__((warn_unused_result));
int edge_peers_start_nginx(struct edge_rig *edge, char *error, size_t error_size)
    __attribute__((warn_unused_result));
