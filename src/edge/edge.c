#include "edge/edge.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "edge/edge_internal.h"
#include "edge/visitor.h"

/* --- Who is here --- */

void edge_add(struct edge *edge, struct visitor *visitor)
{
    visitor->next = edge->visitors;
    if (edge->visitors)
        edge->visitors->previous = visitor;
    edge->visitors = visitor;
    edge->visitor_count++;
    edge_count(edge, EDGE_COUNT_VISITORS, 1);
}

void edge_remove(struct edge *edge, struct visitor *visitor)
{
    if (visitor->previous)
        visitor->previous->next = visitor->next;
    else
        edge->visitors = visitor->next;
    if (visitor->next)
        visitor->next->previous = visitor->previous;
    edge->visitor_count--;
    edge_count(edge, EDGE_COUNT_VISITORS, -1);
    visitor->next = edge->reclaim;
    edge->reclaim = visitor;
    loop_defer(edge->loop, &edge->reclaim_deferred);
}

static void reclaim(struct edge *edge)
{
    while (edge->reclaim) {
        struct visitor *visitor = edge->reclaim;
        edge->reclaim = visitor->next;
        visitor_free(visitor);
    }
}

static void run_reclaim(struct loop_deferred *deferred)
{
    reclaim((struct edge *)(void *)((char *)deferred - offsetof(struct edge, reclaim_deferred)));
}

size_t edge_visitors(const struct edge *edge)
{
    return edge->visitor_count;
}

bool edge_is_host(const char *name, const char *host)
{
    size_t length = strlen(name);
    if (length && name[length - 1] == '.')
        length--;
    return strlen(host) == length && strncasecmp(name, host, length) == 0;
}

bool edge_is_api(const struct edge *edge, const char *name)
{
    const char *api = edge->setup.config->api_host;
    return api && edge_is_host(name, api);
}

bool edge_trusts(const struct edge_config *config, const union address *peer)
{
    union address plain = address_unmap(peer);
    for (size_t i = 0; i < config->trusted_count; i++)
        if (prefix_contains(&config->trusted[i], &plain))
            return true;
    return false;
}

/* --- Life --- */

static void set_setup(struct edge *edge, const struct edge_setup *setup)
{
    struct tls_context *old = edge->setup.tls;
    edge->setup = *setup;
    const char *cdn_id = setup->config->cdn_id;
    snprintf(edge->cdn_id, sizeof edge->cdn_id, "%s", cdn_id ? cdn_id : "");
    if (setup->tls)
        tls_context_ref(setup->tls);
    tls_context_unref(old);
}

int edge_new(struct loop *loop, struct directory *directory, const struct edge_host *host,
             const struct edge_setup *setup, struct edge **ret_edge)
{
    struct edge *edge = calloc(1, sizeof *edge);
    if (!edge)
        return -ENOMEM;
    edge->loop = loop;
    edge->directory = directory;
    edge->host = *host;
    edge->reclaim_deferred.run = run_reclaim;
    leavers_init(&edge->leavers, loop);
    set_setup(edge, setup);
    int error = proved_new(&edge->proved);
    if (error < 0) {
        edge_free(edge);
        return error;
    }
    *ret_edge = edge;
    return 0;
}

/* Connections that have begun keep their context; all else is asked for when it is needed. */
void edge_configure(struct edge *edge, const struct edge_setup *setup)
{
    set_setup(edge, setup);
}

void edge_passed_free(struct edge_passed *passed)
{
    if (!passed)
        return;
    if (passed->fd >= 0)
        close(passed->fd);
    presence_unref(passed->presence);
    free(passed->left);
    free(passed);
}

void edge_take(struct edge *edge, struct edge_passed *passed)
{
    if (!edge->stopped) {
        visitor_new(edge, passed);
        return;
    }
    edge->host.report(edge->host.user, &passed->peer, EDGE_VISITOR_GONE_UNROUTED);
    edge_passed_free(passed);
}

void edge_drain(struct edge *edge)
{
    edge->draining = true;
    for (struct visitor *visitor = edge->visitors, *next; visitor; visitor = next) {
        next = visitor->next;
        if (visitor->phase == VISITOR_HTTP) {
            http_visit_drain(visitor->http);
            visitor_work(visitor);
        }
    }
}

void edge_stop(struct edge *edge)
{
    edge->stopped = true;
    while (edge->visitors)
        visitor_close(edge->visitors, false, "STOPPED");
    leavers_stop(&edge->leavers);
}

void edge_free(struct edge *edge)
{
    if (!edge)
        return;
    reclaim(edge);
    loop_undefer(edge->loop, &edge->reclaim_deferred);
    authorities_deinit(&edge->authorities);
    proved_free(edge->proved);
    tls_context_unref(edge->setup.tls);
    free(edge);
}
