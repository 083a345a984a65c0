/* Inbounds that their visitors don't need any more: the service gets its FIN and a moment for its
 * own, so that it sees an orderly end rather than a reset. What it still says is dropped. */
#pragma once

#include "edge/inbound.h"
#include "net/loop.h"

struct leaver;

struct leavers {
    struct loop *loop;
    struct leaver *first;
    size_t count;
};

void leavers_init(struct leavers *leavers, struct loop *loop);
/* Takes the inbound, whose end was told and all of whose data was consumed; the service hasn't
 * ended yet. */
void leavers_take(struct leavers *leavers, struct inbound *inbound);
/* Aborts them all. */
void leavers_stop(struct leavers *leavers);
