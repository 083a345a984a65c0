#include "net/resolve.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Without memory an element isn't added; uthash would end the process. */
#define HASH_NONFATAL_OOM            1
#define uthash_nonfatal_oom(element) ((element)->lost = true)
#include <uthash.h>
#include <utlist.h>

#include "net/file_stamp.h"
#include "net/hosts.h"
#include "net/resolve_cache.h"
#include "net/resolve_channel.h"
#include "net/resolve_local.h"
#include "net/resolve_search.h"

#define DEFAULT_RECHECK 1000000u
/* About 1 MiB a worker at a handful of addresses a name. */
#define CACHE_CAPACITY 4096
/* c-ares needs a free 16-bit id for each of a lookup's two questions; far fewer keeps a guess at
 * one unlikely, and bounds what a flood of names can hold. */
#define LOOKUPS_MAX 4096

/* Someone's question. While it waits it is in its lookup's list; with its last answer, in the
 * resolver's. */
struct resolve_query {
    struct resolve_query *next, *prev;
    struct resolver *resolver;
    struct lookup *lookup; /* NULL once nothing more will come */
    struct resolve_answer
        *answer; /* to be delivered at the end of this turn; NULL: no memory for it */
    struct loop_deferred delivery;
    resolve_on_done *on_done;
    void *user;
};

/* A name that servers are being asked for, and who waits for it. It goes on when nobody waits any
 * more: the cache takes the answer. */
struct lookup {
    UT_hash_handle hh;
    bool lost;
    struct resolver *resolver;
    struct resolve_query *waiters;
    struct resolve_answer *partial; /* what came in time; NULL: nothing yet */
    struct resolve_search search;
    char name[];
};

/* Channels of older states of resolv.conf, until their questions have been answered. */
struct retired {
    struct retired *next;
    struct resolve_channel *channel;
};

struct resolver {
    struct loop *loop;
    struct hosts *hosts;
    struct resolve_cache *cache;
    struct resolve_channel *channel;
    struct retired *retired;
    struct lookup *lookups;
    struct resolve_query *answered;
    struct file_stamp stamp; /* of resolv.conf */
    struct resolver_options options;
    char *resolv_conf, *servers; /* what options points to */
};

#define CONTAINER(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

const char *resolve_error_code(int error)
{
    switch (error) {
    case RESOLVE_NOT_FOUND:
        return "ENOTFOUND";
    case RESOLVE_AGAIN:
        return "EAI_AGAIN";
    default:
        return "ENOMEM";
    }
}

/* ---- queries ---- */

static void query_deliver(struct loop_deferred *delivery)
{
    struct resolve_query *query = CONTAINER(delivery, struct resolve_query, delivery);
    struct resolve_answer *answer = query->answer;
    resolve_on_done *on_done = query->on_done;
    void *user = query->user;

    query->answer = NULL;
    if (!query->lookup) {
        DL_DELETE(query->resolver->answered, query);
        free(query);
    }
    /* The callback may free query and resolver. */
    if (answer) {
        on_done(user, answer->error, answer->addresses, answer->count);
    } else {
        on_done(user, RESOLVE_NO_MEMORY, NULL, 0);
    }
    resolve_answer_unref(answer);
}

/* Will be told at the end of this turn, of this answer instead of an earlier one. NULL: no memory.
 */
static void query_answer(struct resolve_query *query, struct resolve_answer *answer)
{
    resolve_answer_unref(query->answer);
    query->answer = answer ? resolve_answer_ref(answer) : NULL;
    loop_defer(query->resolver->loop, &query->delivery);
}

static void query_free(struct resolve_query *query)
{
    loop_undefer(query->resolver->loop, &query->delivery);
    resolve_answer_unref(query->answer);
    free(query);
}

void resolve_cancel(struct resolve_query *query)
{
    if (!query) {
        return;
    }
    if (query->lookup) {
        DL_DELETE(query->lookup->waiters, query);
    } else {
        DL_DELETE(query->resolver->answered, query);
    }
    query_free(query);
}

static void queries_free(struct resolve_query **list)
{
    while (*list) {
        struct resolve_query *query = *list;
        DL_DELETE(*list, query);
        query_free(query);
    }
}

/* ---- lookups ---- */

static void lookup_free(struct lookup *lookup)
{
    resolve_search_deinit(&lookup->search);
    resolve_answer_unref(lookup->partial);
    free(lookup);
}

/* The search is over: everyone who waits will be told. */
static void lookup_finish(struct lookup *lookup, struct resolve_answer *answer)
{
    struct resolver *resolver = lookup->resolver;
    /* What an older state of resolv.conf says isn't kept. */
    if (answer && answer->error != RESOLVE_NO_MEMORY &&
        lookup->search.channel == resolver->channel) {
        resolve_cache_store(resolver->cache, lookup->name, answer);
    }
    HASH_DEL(resolver->lookups, lookup);
    while (lookup->waiters) {
        struct resolve_query *query = lookup->waiters;
        DL_DELETE(lookup->waiters, query);
        query->lookup = NULL;
        DL_APPEND(resolver->answered, query);
        query_answer(query, answer);
    }
    lookup_free(lookup);
}

static void lookup_answered(struct resolve_search *search, struct resolve_answer *answer)
{
    struct lookup *lookup = CONTAINER(search, struct lookup, search);
    if (!answer || answer->error != RESOLVE_PARTIAL) {
        lookup_finish(lookup, answer);
        return;
    }
    lookup->partial = resolve_answer_ref(answer);
    struct resolve_query *query;
    DL_FOREACH(lookup->waiters, query)
    {
        query_answer(query, answer);
    }
}

static struct lookup *lookup_find(struct resolver *resolver, const char *name)
{
    struct lookup *lookup;
    HASH_FIND(hh, resolver->lookups, name, strlen(name), lookup);
    return lookup;
}

/* Not asked yet. NULL without memory. */
static struct lookup *lookup_new(struct resolver *resolver, const char *name)
{
    size_t length = strlen(name);
    struct lookup *lookup = calloc(1, sizeof(*lookup) + length + 1);
    if (!lookup) {
        return NULL;
    }
    memcpy(lookup->name, name, length);
    lookup->resolver = resolver;
    resolve_search_init(&lookup->search, resolver->loop, resolver->channel, lookup->name,
                        lookup_answered);
    HASH_ADD_KEYPTR(hh, resolver->lookups, lookup->name, length, lookup);
    if (lookup->lost) {
        free(lookup);
        return NULL;
    }
    return lookup;
}

/* ---- the resolver ---- */

static void retired_drop(struct resolver *resolver, bool only_idle)
{
    struct retired **link = &resolver->retired;
    while (*link) {
        struct retired *retired = *link;
        if (only_idle && !resolve_channel_is_idle(retired->channel)) {
            link = &retired->next;
            continue;
        }
        *link = retired->next;
        resolve_channel_free(retired->channel);
        free(retired);
    }
}

/* A new resolv.conf is a new channel; lookups under way finish with the old one. Without memory the
 * old one stays until the next change. */
static void channel_refresh(struct resolver *resolver)
{
    retired_drop(resolver, true);
    if (!file_stamp_changed(&resolver->stamp, resolver->resolv_conf, loop_now(resolver->loop),
                            resolver->options.recheck)) {
        return;
    }
    struct retired *retired = calloc(1, sizeof(*retired));
    if (!retired) {
        return;
    }
    retired->channel = resolver->channel;
    if (resolve_channel_new(resolver->loop, &resolver->options, &resolver->channel) != RESOLVE_OK) {
        free(retired);
        return;
    }
    retired->next = resolver->retired;
    resolver->retired = retired;
    /* Other servers may know other names. */
    resolve_cache_clear(resolver->cache);
}

static void query_finish_with(struct resolve_query *query, struct resolve_answer *answer)
{
    DL_APPEND(query->resolver->answered, query);
    query_answer(query, answer);
}

static void query_join(struct resolve_query *query, struct lookup *lookup)
{
    query->lookup = lookup;
    DL_APPEND(lookup->waiters, query);
    if (lookup->partial) {
        query_answer(query, lookup->partial);
    }
}

static void query_ask(struct resolve_query *query, const char *name)
{
    struct resolver *resolver = query->resolver;
    channel_refresh(resolver);
    struct resolve_answer *answer =
        resolve_cache_find(resolver->cache, name, loop_now(resolver->loop));
    if (answer) {
        query_finish_with(query, answer);
        return;
    }
    struct lookup *lookup = lookup_find(resolver, name);
    if (lookup) {
        query_join(query, lookup);
        return;
    }
    if (HASH_COUNT(resolver->lookups) >= LOOKUPS_MAX) {
        answer = resolve_answer_new(RESOLVE_AGAIN, NULL, 0, 0);
        query_finish_with(query, answer);
        resolve_answer_unref(answer);
        return;
    }
    lookup = lookup_new(resolver, name);
    if (!lookup) {
        query_finish_with(query, NULL);
        return;
    }
    query_join(query, lookup);
    resolve_search_start(&lookup->search); /* may be gone now */
}

int resolve_start(struct resolver *resolver, const char *host, resolve_on_done *on_done, void *user,
                  struct resolve_query **ret_query)
{
    struct resolve_query *query = calloc(1, sizeof(*query));
    if (!query) {
        return RESOLVE_NO_MEMORY;
    }
    query->resolver = resolver;
    query->on_done = on_done;
    query->user = user;
    query->delivery.run = query_deliver;

    char name[RESOLVE_NAME_MAX + 1];
    struct resolve_answer *answer = NULL;
    if (!resolve_local_normalize(host, name)) {
        answer = resolve_answer_new(RESOLVE_NOT_FOUND, NULL, 0, 0);
        query_finish_with(query, answer);
        resolve_answer_unref(answer);
    } else if (resolve_local_find(resolver->hosts, name, loop_now(resolver->loop), &answer)) {
        query_finish_with(query, answer);
        resolve_answer_unref(answer);
    } else {
        query_ask(query, name);
    }
    *ret_query = query;
    return RESOLVE_OK;
}

static int resolver_init(struct resolver *resolver, const struct resolver_options *options)
{
    resolver->options = *options;
    if (!resolver->options.recheck) {
        resolver->options.recheck = DEFAULT_RECHECK;
    }
    resolver->resolv_conf =
        strdup(options->resolv_conf ? options->resolv_conf : "/etc/resolv.conf");
    resolver->servers = options->servers ? strdup(options->servers) : NULL;
    resolver->options.resolv_conf = resolver->resolv_conf;
    resolver->options.servers = resolver->servers;
    resolver->options.hosts_file = NULL;
    resolver->hosts = hosts_new(options->hosts_file ? options->hosts_file : "/etc/hosts",
                                resolver->options.recheck);
    resolver->cache = resolve_cache_new(CACHE_CAPACITY);
    if (!resolver->resolv_conf || (options->servers && !resolver->servers) || !resolver->hosts ||
        !resolver->cache) {
        return RESOLVE_NO_MEMORY;
    }
    /* Looked at before it is read: a change in between is then seen as one. */
    (void)file_stamp_changed(&resolver->stamp, resolver->resolv_conf, loop_now(resolver->loop),
                             resolver->options.recheck);
    return resolve_channel_new(resolver->loop, &resolver->options, &resolver->channel);
}

int resolver_new(struct loop *loop, const struct resolver_options *options,
                 struct resolver **ret_resolver)
{
    const struct resolver_options defaults = {0};
    struct resolver *resolver = calloc(1, sizeof(*resolver));
    if (!resolver) {
        return RESOLVE_NO_MEMORY;
    }
    resolver->loop = loop;
    int error = resolver_init(resolver, options ? options : &defaults);
    if (error) {
        resolver_free(resolver);
        return error;
    }
    *ret_resolver = resolver;
    return RESOLVE_OK;
}

void resolver_free(struct resolver *resolver)
{
    if (!resolver) {
        return;
    }
    /* Channels first: nothing asks or answers after that. */
    resolve_channel_free(resolver->channel);
    retired_drop(resolver, false);
    struct lookup *lookup, *next;
    HASH_ITER(hh, resolver->lookups, lookup, next)
    {
        HASH_DEL(resolver->lookups, lookup);
        queries_free(&lookup->waiters);
        lookup_free(lookup);
    }
    queries_free(&resolver->answered);
    resolve_cache_free(resolver->cache);
    hosts_free(resolver->hosts);
    free(resolver->resolv_conf);
    free(resolver->servers);
    free(resolver);
}
