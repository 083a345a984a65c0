/* The edge's inside, for edge.c and the visitor*.c. */
#pragma once

#include "edge/authorities.h"
#include "edge/edge.h"
#include "edge/http_date.h"
#include "edge/leaver.h"
#include "edge/page.h"
#include "edge/proved.h"

struct proof;
struct visitor;

struct edge {
    struct loop *loop;
    struct directory *directory;
    struct edge_host host;
    struct edge_setup setup;
    struct visitor *visitors; /* all of them */
    size_t visitor_count;
    struct visitor *reclaim; /* over in this turn, freed at its end */
    struct loop_deferred reclaim_deferred;
    struct leavers leavers;
    struct authorities authorities;
    struct proved *proved;
    struct proof *proofs; /* under way */
    bool draining, stopped;
    /* What is on its way through one visitor's hands, for no longer than a call. */
    struct page_text page;
    struct http_date date;
    char cdn_id[EDGE_CDN_ID_SIZE]; /* setup.config's, which a reload ends, and visits don't */
    unsigned char scratch[65536];
};

static inline void edge_count(const struct edge *edge, enum edge_count what, int64_t amount)
{
    edge->host.count(edge->host.user, what, amount);
}

/* Does a name, in any case and with or without a dot at the end, say this host (without one)? */
bool edge_is_host(const char *name, const char *host);
/* Is it the name of the API, in whatever case? */
bool edge_is_api(const struct edge *edge, const char *name);
/* The visitor joins the list, or leaves it and is freed at the end of the turn. */
void edge_add(struct edge *edge, struct visitor *visitor);
void edge_remove(struct edge *edge, struct visitor *visitor);
