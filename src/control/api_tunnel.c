#include <string.h>

#include "control/api_internal.h"

/* --- Asking --- */

/* The tunnel of the path, and its socket in call->facts; NULL: answered. */
static struct api_tunnel_entry *find(struct api_call *call)
{
    struct socket_facts *facts = api_socket_find(call);
    if (!facts)
        return NULL;
    struct api_tunnel_entry *entry = api_tunnels_find(call->api, facts->id, call->ids[1]);
    if (entry)
        call->facts = socket_facts_ref(facts);
    else
        api_answer_unknown(call, "tunnel");
    return entry;
}

void api_tunnel_list(struct api_call *call)
{
    const struct socket_facts *facts = api_socket_find(call);
    if (facts)
        api_answer_json(call, api_tunnels_json(call->api, facts));
}

void api_tunnel_show(struct api_call *call)
{
    const struct api_tunnel_entry *entry = find(call);
    if (entry)
        api_answer_json(call, api_tunnels_entry_json(call->api, call->facts, entry));
}

/* --- Creating --- */

static void undone(void *user, int error)
{
    struct api_call *call = user;
    if (!error)
        api_socket_gone(call->api, call->facts);
    api_answer_store(call);
}

/* Without its tunnel a socket made for it has no use. What the store refuses alone is a tunnel of a
 * socket that is no more. */
static void fail(struct api_call *call)
{
    struct api *api = call->api;
    if (call->entry)
        api_tunnels_remove(api, call->entry);
    call->entry = NULL;
    if (!api->host.find_socket(api->host.user, call->facts->uuid))
        api_answer_unknown(call, "socket");
    else if (call->is_connect && call->is_new)
        api->host.remove_socket(api->host.user, call->facts->id, undone, call);
    else
        api_answer_store(call);
}

static void stored(void *user, const char *error)
{
    struct api_call *call = user;
    struct api *api = call->api;
    if (error || !api->host.find_socket(api->host.user, call->facts->uuid)) {
        fail(call);
        return;
    }
    api_tunnels_commit(call->entry);
    api_cache_drop(api, call->facts->owner);
    if (call->is_connect)
        api_socket_answer(call, call->facts);
    else
        api_answer_json(call, api_tunnels_entry_json(api, call->facts, call->entry));
}

static void create(struct api_call *call)
{
    struct api *api = call->api;
    call->entry = api_tunnels_add(api, call->facts->id);
    if (!call->entry ||
        store_put_tunnel(api->store, api_tunnels_stored(call->entry), stored, call) < 0)
        fail(call);
}

void api_tunnel_create(struct api_call *call)
{
    struct socket_facts *facts = api_socket_find(call);
    if (!facts)
        return;
    if (api_tunnels_count(call->api, facts->id) >= API_TUNNELS_MAX) {
        api_answer_error(call, 403, "TOO_MANY_TUNNELS", 0, "a socket has at most %d tunnels",
                         API_TUNNELS_MAX);
        return;
    }
    call->facts = socket_facts_ref(facts);
    create(call);
}

/* A socket that was there keeps the tunnel that it had: an agent that was killed and started again
 * adds none each time. */
void api_tunnel_connect(struct api_call *call)
{
    if (api_tunnels_count(call->api, call->facts->id))
        api_socket_answer(call, call->facts);
    else
        create(call);
}

/* --- Deleting --- */

static void removed(void *user, const char *error)
{
    struct api_call *call = user;
    struct api *api = call->api;
    if (error) {
        api_answer_store(call);
        return;
    }
    /* Asked for twice, or its socket has gone meanwhile. */
    struct api_tunnel_entry *entry = api_tunnels_find(api, call->facts->id, call->ids[1]);
    if (entry)
        api_tunnels_remove(api, entry);
    api_cache_drop(api, call->facts->owner);
    api_answer_nothing(call);
}

void api_tunnel_delete(struct api_call *call)
{
    struct api_tunnel_entry *entry = find(call);
    if (!entry)
        return;
    if (store_remove_tunnel(call->api->store, api_tunnels_stored(entry)->id, removed, call) < 0)
        api_answer_store(call);
}
