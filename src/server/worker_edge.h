/* The edge of a worker, and what it needs of the server: its directory, counters, other workers. */
#pragma once

#include "server/worker.h"

/* Directory and edge, when the configuration has one. 0 or a negative errno; worker_edge_free() in
 * any case. */
int worker_edge_new(struct worker *worker) __attribute__((warn_unused_result));
/* After the loop was freed. */
void worker_edge_free(struct worker *worker);
/* The worker's setup has changed. */
void worker_edge_configure(struct worker *worker);
/* Accepts there, too. Takes the reference. */
void worker_edge_listen(struct worker *worker, struct listening *listening, enum edge_entry entry,
                        uint64_t socket);
void worker_edge_drain(struct worker *worker);
void worker_edge_stop(struct worker *worker);
/* A visitor. Takes it. */
void worker_edge_take(struct worker *worker, struct edge_passed *passed);
/* Takes the change's references. */
void worker_edge_change(struct worker *worker, struct registry_change *change);
