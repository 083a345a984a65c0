/* The tunnels that people have made for their sockets: an index over what the store keeps. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <uthash.h>

#include "control/api_internal.h"
#include "net/pki.h"

struct api_tunnel_entry {
    struct stored_tunnel stored;
    struct api_tunnel_entry *next; /* of the socket, in the order of ids */
    bool is_committed;
};

struct socket_tunnels {
    uint64_t socket; /* the key */
    struct api_tunnel_entry *first;
    UT_hash_handle hh;
};

struct api_tunnels {
    struct socket_tunnels *sockets; /* by id */
    uint64_t last_id;
};

static struct socket_tunnels *find_socket(const struct api *api, uint64_t socket)
{
    struct socket_tunnels *found;
    HASH_FIND(hh, api->tunnels->sockets, &socket, sizeof socket, found);
    return found;
}

/* Takes the entry, unless there is no memory: NULL. */
static struct socket_tunnels *put(struct api *api, struct api_tunnel_entry *entry)
{
    struct socket_tunnels *of = find_socket(api, entry->stored.socket);
    if (!of) {
        of = calloc(1, sizeof *of);
        if (!of)
            return NULL;
        of->socket = entry->stored.socket;
        HASH_ADD(hh, api->tunnels->sockets, socket, sizeof of->socket, of);
    }
    struct api_tunnel_entry **at = &of->first;
    while (*at)
        at = &(*at)->next;
    *at = entry;
    return of;
}

static int load_one(void *user, const struct stored_tunnel *tunnel)
{
    struct api *api = user;
    struct api_tunnel_entry *entry = calloc(1, sizeof *entry);
    if (!entry)
        return -1;
    entry->stored = *tunnel;
    entry->is_committed = true;
    if (put(api, entry))
        return 0;
    free(entry);
    return -1;
}

int api_tunnels_open(struct api *api, char *error, size_t error_size)
{
    api->tunnels = calloc(1, sizeof *api->tunnels);
    snprintf(error, error_size, "out of memory");
    if (!api->tunnels)
        return -1;
    api->tunnels->last_id = store_last_tunnel(api->store);
    return store_load_tunnels(api->store, load_one, api, error, error_size);
}

static void free_socket(struct api *api, struct socket_tunnels *of)
{
    HASH_DELETE(hh, api->tunnels->sockets, of);
    while (of->first) {
        struct api_tunnel_entry *entry = of->first;
        of->first = entry->next;
        free(entry);
    }
    free(of);
}

void api_tunnels_close(struct api *api)
{
    if (!api->tunnels)
        return;
    while (api->tunnels->sockets)
        free_socket(api, api->tunnels->sockets);
    free(api->tunnels);
}

/* --- Changes --- */

struct api_tunnel_entry *api_tunnels_add(struct api *api, uint64_t socket)
{
    struct api_tunnel_entry *entry = calloc(1, sizeof *entry);
    if (!entry || uuid_make(pki_random, entry->stored.uuid) < 0) {
        free(entry);
        return NULL;
    }
    entry->stored.id = ++api->tunnels->last_id;
    entry->stored.socket = socket;
    entry->stored.created = (uint64_t)time(NULL);
    if (put(api, entry))
        return entry;
    free(entry);
    return NULL;
}

void api_tunnels_commit(struct api_tunnel_entry *entry)
{
    entry->is_committed = true;
}

void api_tunnels_remove(struct api *api, struct api_tunnel_entry *entry)
{
    struct socket_tunnels *of = find_socket(api, entry->stored.socket);
    struct api_tunnel_entry **at = &of->first;
    while (*at != entry)
        at = &(*at)->next;
    *at = entry->next;
    free(entry);
    if (!of->first)
        free_socket(api, of);
}

/* Those on their way to disk stay: their calls hold them, and end them. */
void api_tunnels_remove_socket(struct api *api, uint64_t socket)
{
    struct socket_tunnels *of = find_socket(api, socket);
    if (!of)
        return;
    for (struct api_tunnel_entry **at = &of->first, *entry; (entry = *at);) {
        if (!entry->is_committed) {
            at = &entry->next;
            continue;
        }
        *at = entry->next;
        free(entry);
    }
    if (!of->first)
        free_socket(api, of);
}

/* --- Questions --- */

size_t api_tunnels_count(const struct api *api, uint64_t socket)
{
    const struct socket_tunnels *of = find_socket(api, socket);
    size_t count = 0;
    for (const struct api_tunnel_entry *at = of ? of->first : NULL; at; at = at->next)
        count++;
    return count;
}

struct api_tunnel_entry *api_tunnels_find(const struct api *api, uint64_t socket, const char *uuid)
{
    const struct socket_tunnels *of = find_socket(api, socket);
    struct api_tunnel_entry *at = of ? of->first : NULL;
    while (at && (!at->is_committed || strcmp(at->stored.uuid, uuid)))
        at = at->next;
    return at;
}

const struct stored_tunnel *api_tunnels_stored(const struct api_tunnel_entry *entry)
{
    return &entry->stored;
}

/* local_port is what another server bound for a tunnel. Nothing is bound here: it is the port that
 * visitors use, 0 for a socket that is found by a name. */
json_t *api_tunnels_entry_json(const struct api *api, const struct socket_facts *facts,
                               const struct api_tunnel_entry *entry)
{
    return json_pack("{s:s,s:i,s:s,s:I}", "tunnel_id", entry->stored.uuid, "local_port",
                     (int)facts->port, "tunnel_server", api->host.tunnel_server(api->host.user),
                     "created", (json_int_t)entry->stored.created);
}

json_t *api_tunnels_json(const struct api *api, const struct socket_facts *facts)
{
    const struct socket_tunnels *of = find_socket(api, facts->id);
    json_t *list = json_array();
    for (const struct api_tunnel_entry *at = of ? of->first : NULL; list && at; at = at->next) {
        if (at->is_committed &&
            json_array_append_new(list, api_tunnels_entry_json(api, facts, at)) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}
