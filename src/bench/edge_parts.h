/* The parts of `bench edge`: each measures its rows once, on every route that it has. 0, or -1
 * where it couldn't measure; wrong results are the report's failures. */
#pragma once

#include "bench/edge_rig.h"

int edge_bulk(struct edge_rig *edge);
int edge_visits(struct edge_rig *edge);
int edge_beside(struct edge_rig *edge);
int edge_http(struct edge_rig *edge);
int edge_https(struct edge_rig *edge);
int edge_first_byte(struct edge_rig *edge);
int edge_idle(struct edge_rig *edge);
int edge_sockets(struct edge_rig *edge);
int edge_return(struct edge_rig *edge);

/* Shows on a terminal what is under way. */
void edge_progress(const struct report_row *row, enum route route);
/* A failed restart or such, said once. Returns -1. */
int edge_complain(const char *error);
/* How many visitors or sockets: --count, or `most`, or a few in a short run; not more than
 * descriptors, which the report is told. */
int edge_count(struct edge_rig *edge, int most, int few);
