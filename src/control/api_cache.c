/* Rendered lists of sockets: somebody with 1,000 of them asks often, and they change seldom. */
#include <stdlib.h>
#include <string.h>

#include "control/api_internal.h"

/* Owners whose lists are kept: 650 bytes a socket in both forms, so 42 MB at most with 1,000
 * sockets each. */
#define CACHE_MAX 64

static void unlink_entry(struct api *api, struct api_cache_entry *entry)
{
    if (entry->previous)
        entry->previous->next = entry->next;
    else
        api->cache = entry->next;
    if (entry->next)
        entry->next->previous = entry->previous;
}

static void push_entry(struct api *api, struct api_cache_entry *entry)
{
    entry->previous = NULL;
    entry->next = api->cache;
    if (api->cache)
        api->cache->previous = entry;
    api->cache = entry;
}

static void free_entry(struct api *api, struct api_cache_entry *entry)
{
    unlink_entry(api, entry);
    api->cached--;
    account_unref(entry->account);
    api_text_unref(entry->text);
    free(entry);
}

void api_cache_drop(struct api *api, const char *owner)
{
    struct api_cache_entry *next;
    for (struct api_cache_entry *entry = api->cache; entry; entry = next) {
        next = entry->next;
        if (!owner || !strcmp(entry->account->uuid, owner))
            free_entry(api, entry);
    }
}

/* --- Rendering --- */

struct rendering {
    struct api *api;
    const char *user_name;
    json_t *list;
    bool failed;
};

static void render_one(void *user, struct socket_facts *facts, size_t agents)
{
    struct rendering *rendering = user;
    if (!rendering->failed)
        rendering->failed =
            json_array_append_new(rendering->list, api_socket_json(rendering->api, facts, agents,
                                                                   rendering->user_name)) < 0;
}

static struct api_text *render(struct api *api, const struct account *account)
{
    struct rendering rendering = {api, account->email, json_array(), false};
    if (!rendering.list)
        return NULL;
    api->host.each_socket(api->host.user, account->uuid, render_one, &rendering);
    char *text = rendering.failed ? NULL : json_dumps(rendering.list, JSON_COMPACT);
    struct api_text *rendered = text ? api_text_new(text, strlen(text)) : NULL;
    free(text);
    json_decref(rendering.list);
    return rendered;
}

/* --- Entries --- */

static struct api_cache_entry *find_entry(struct api *api, const struct account *account)
{
    for (struct api_cache_entry *entry = api->cache; entry; entry = entry->next)
        if (!strcmp(entry->account->uuid, account->uuid))
            return entry;
    return NULL;
}

struct api_text *api_cache_get(struct api *api, struct account *account)
{
    uint64_t version = api->host.sockets_version(api->host.user, account->uuid);
    struct api_cache_entry *entry = find_entry(api, account);
    if (entry && entry->version == version && entry->account == account) {
        unlink_entry(api, entry);
        push_entry(api, entry);
        return entry->text;
    }
    if (entry)
        free_entry(api, entry);
    entry = calloc(1, sizeof *entry);
    struct api_text *text = entry ? render(api, account) : NULL;
    if (!text) {
        free(entry);
        return NULL;
    }
    *entry =
        (struct api_cache_entry){.account = account_ref(account), .version = version, .text = text};
    push_entry(api, entry);
    if (++api->cached > CACHE_MAX) {
        struct api_cache_entry *last = entry;
        while (last->next)
            last = last->next;
        free_entry(api, last);
    }
    return text;
}
