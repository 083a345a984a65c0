#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "control/api_internal.h"

struct socket_facts *api_socket_find(struct api_call *call)
{
    struct api *api = call->api;
    struct socket_facts *facts = api->host.find_socket(api->host.user, call->ids[0]);
    if (facts && !strcmp(facts->owner, call->account->uuid))
        return facts;
    api_answer_unknown(call, "socket");
    return NULL;
}

void api_socket_gone(struct api *api, const struct socket_facts *facts)
{
    api_tunnels_remove_socket(api, facts->id);
    api_cache_drop(api, facts->owner);
}

void api_socket_list(struct api_call *call)
{
    struct api_text *text = api_cache_get(call->api, call->account);
    if (text)
        api_answer_shared(call, text);
    else
        api_answer_memory(call);
}

void api_socket_show(struct api_call *call)
{
    const struct socket_facts *facts = api_socket_find(call);
    if (facts)
        api_socket_answer(call, facts);
}

/* --- Names that are taken --- */

/* An owner's agents may share a socket by its name. Who creates one here wants one of its own, and
 * so is told when there is one. */
struct clash {
    const char *name, *hostname; /* NULL: any will do */
    uint64_t except;             /* id */
    struct socket_facts *facts;  /* borrowed */
};

/* Is the host name asked for, a label or whole, this one? */
static bool is_host(const char *asked, const char *hostname)
{
    size_t length = strlen(asked);
    return !strncasecmp(asked, hostname, length) &&
           (!hostname[length] || (hostname[length] == '.' && !strchr(asked, '.')));
}

static void find_clash(void *user, struct socket_facts *facts, size_t agents)
{
    struct clash *clash = user;
    bool is_same = clash->name && !strcmp(facts->name, clash->name);
    bool is_same_host = clash->hostname && socket_type_has_host(facts->type) &&
                        is_host(clash->hostname, facts->hostname);
    if ((is_same || is_same_host) && facts->id != clash->except)
        clash->facts = facts;
}

/* One that is on its way to disk isn't among the sockets yet. */
static bool is_under_way(const struct api_call *call, const char *name)
{
    for (const struct api_call *other = call->api->calls; other; other = other->next)
        if (other != call && other->account && other->account->id == call->account->id &&
            !other->is_ready && other->values && other->values->name && call->is_new &&
            other->is_new && !strcmp(other->values->name, name))
            return true;
    return false;
}

static void answer_taken(struct api_call *call, const struct socket_facts *facts)
{
    api_answer_error(call, 409, "NAME_TAKEN", 0, "you have a socket of this name already: %s",
                     facts ? facts->uuid : "it is on its way");
}

/* --- Creating --- */

static void created(void *user, int error, struct socket_facts *facts)
{
    struct api_call *call = user;
    if (error) {
        api_answer_registry_error(call, error);
        return;
    }
    api_cache_drop(call->api, facts->owner);
    if (!call->is_connect) {
        api_socket_answer(call, facts);
        return;
    }
    socket_facts_unref(call->facts);
    call->facts = socket_facts_ref(facts);
    api_tunnel_connect(call);
}

static void claim(struct api_call *call)
{
    struct api *api = call->api;
    const struct api_socket_values *values = call->values;
    const struct socket_claim claim = {
        .owner = call->account->uuid,
        .name = values->name,
        .type = values->type,
        .hostname = values->hostname,
        .https_only = values->https_only,
        .host_header = values->host_header && *values->host_header ? values->host_header : NULL,
        .description = values->description,
        .access = values->has_access ? values->access : NULL,
    };
    api->host.claim_socket(api->host.user, &claim, created, call);
}

/* The owner's socket of the body's name, for POST /connect; NULL: there is none. */
static const struct socket_facts *find_named(struct api_call *call)
{
    struct api *api = call->api;
    struct clash clash = {.name = json_string_value(json_object_get(call->body, "name"))};
    api->host.each_socket(api->host.user, call->account->uuid, find_clash, &clash);
    if (clash.facts)
        call->facts = socket_facts_ref(clash.facts);
    return clash.facts;
}

/* The call's values, unless the name is taken: false, answered. */
static bool read_new(struct api_call *call)
{
    struct api *api = call->api;
    const struct socket_facts *before = call->is_connect ? find_named(call) : NULL;
    call->is_new = !before;
    call->values = api_socket_values_read(call, before, false);
    if (!call->values)
        return false;
    struct clash clash = {.name = call->values->name, .hostname = call->values->hostname};
    if (!before)
        api->host.each_socket(api->host.user, call->account->uuid, find_clash, &clash);
    if (!clash.facts && !is_under_way(call, call->values->name))
        return true;
    answer_taken(call, clash.facts);
    return false;
}

void api_socket_create(struct api_call *call)
{
    if (read_new(call))
        api_password_hash(call, claim);
}

void api_socket_connect(struct api_call *call)
{
    call->is_connect = true;
    api_socket_create(call);
}

/* --- Changing --- */

static void changed(void *user, int error, struct socket_facts *facts)
{
    struct api_call *call = user;
    if (error) {
        api_answer_registry_error(call, error);
        return;
    }
    api_cache_drop(call->api, facts->owner);
    api_socket_answer(call, facts);
}

/* The socket may have gone while its password was hashed; or another change came first, which this
 * one would undo in part. */
static void change(struct api_call *call)
{
    struct api *api = call->api;
    const struct api_socket_values *values = call->values;
    const struct socket_facts *now = api_socket_find(call);
    if (!now)
        return;
    if (now != call->facts) {
        api_answer_registry_error(call, REGISTRY_BUSY);
        return;
    }
    struct socket_facts next = *now;
    if (values->name)
        next.name = (char *)values->name;
    if (values->description)
        next.description = *values->description ? (char *)values->description : NULL;
    next.host_header =
        values->host_header && *values->host_header ? (char *)values->host_header : NULL;
    next.https_only = values->https_only;
    if (values->has_access)
        next.access = values->access;
    struct socket_facts *facts = socket_facts_new(&next);
    socket_facts_unref(call->facts);
    call->facts = facts;
    if (facts)
        api->host.change_socket(api->host.user, facts, changed, call);
    else
        api_answer_memory(call);
}

void api_socket_change(struct api_call *call)
{
    struct api *api = call->api;
    struct socket_facts *before = api_socket_find(call);
    if (!before)
        return;
    call->facts = socket_facts_ref(before); /* values borrow of it */
    call->values = api_socket_values_read(call, before, true);
    if (!call->values)
        return;
    struct clash clash = {.name = call->values->name, .except = before->id};
    api->host.each_socket(api->host.user, call->account->uuid, find_clash, &clash);
    if (clash.facts)
        answer_taken(call, clash.facts);
    else
        api_password_hash(call, change);
}

/* --- Deleting --- */

static void removed(void *user, int error)
{
    struct api_call *call = user;
    if (error) {
        api_answer_registry_error(call, error);
        return;
    }
    api_socket_gone(call->api, call->facts);
    api_answer_nothing(call);
}

void api_socket_remove(struct api_call *call, struct socket_facts *facts)
{
    struct api *api = call->api;
    call->facts = socket_facts_ref(facts);
    api->host.remove_socket(api->host.user, facts->id, removed, call);
}

void api_socket_delete(struct api_call *call)
{
    struct socket_facts *facts = api_socket_find(call);
    if (facts)
        api_socket_remove(call, facts);
}
