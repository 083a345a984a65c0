#include "registry/registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const type_names[] = {
    [SOCKET_HTTP] = "http",
    [SOCKET_HTTPS] = "https",
    [SOCKET_TLS] = "tls",
    [SOCKET_TCP] = "tcp",
    [SOCKET_PASSTHROUGH] = "passthrough",
};
#define TYPE_COUNT (sizeof type_names / sizeof type_names[0])

int socket_type_parse(const char *text)
{
    for (size_t i = 0; i < TYPE_COUNT; i++)
        if (strcmp(text, type_names[i]) == 0)
            return (int)i;
    return -1;
}

const char *socket_type_name(enum socket_type type)
{
    return type_names[type];
}

bool socket_type_has_host(enum socket_type type)
{
    return type != SOCKET_TLS && type != SOCKET_TCP;
}

bool tunnel_ref_is_same(const struct tunnel_ref *a, const struct tunnel_ref *b)
{
    return a->node == b->node && a->worker == b->worker && a->slot == b->slot &&
           a->generation == b->generation;
}

struct socket_facts socket_facts_values(const struct socket_facts *facts)
{
    struct socket_facts values = {
        .id = facts->id,
        .type = facts->type,
        .owner = facts->owner,
        .name = facts->name,
        .hostname = facts->hostname,
        .port = facts->port,
        .created = facts->created,
        .https_only = facts->https_only,
        .host_header = facts->host_header,
        .description = facts->description,
        .access = facts->access,
        .cloud_authentication = facts->cloud_authentication,
        .load = facts->load,
    };
    memcpy(values.uuid, facts->uuid, sizeof values.uuid);
    return values;
}

struct socket_facts *socket_facts_new(const struct socket_facts *values)
{
    struct socket_facts *facts = calloc(1, sizeof *facts);
    if (!facts)
        return NULL;
    atomic_init(&facts->references, 1);
    facts->id = values->id;
    memcpy(facts->uuid, values->uuid, sizeof facts->uuid);
    facts->type = values->type;
    facts->port = values->port;
    facts->created = values->created;
    facts->https_only = values->https_only;
    facts->cloud_authentication = values->cloud_authentication;
    facts->owner = strdup(values->owner);
    facts->description = values->description ? strdup(values->description) : NULL;
    facts->access = values->access ? socket_access_copy(values->access) : NULL;
    facts->load = values->load ? socket_load_ref(values->load) : socket_load_new();
    facts->name = strdup(values->name);
    facts->hostname = strdup(values->hostname);
    facts->host_header = values->host_header ? strdup(values->host_header) : NULL;
    if (!facts->load || !facts->owner || !facts->name || !facts->hostname ||
        (values->host_header && !facts->host_header) ||
        (values->description && !facts->description) || (values->access && !facts->access)) {
        socket_facts_unref(facts);
        return NULL;
    }
    return facts;
}

struct socket_facts *socket_facts_ref(struct socket_facts *facts)
{
    atomic_fetch_add_explicit(&facts->references, 1, memory_order_relaxed);
    return facts;
}

void socket_facts_unref(struct socket_facts *facts)
{
    if (!facts || atomic_fetch_sub_explicit(&facts->references, 1, memory_order_acq_rel) > 1)
        return;
    free(facts->owner);
    free(facts->name);
    free(facts->hostname);
    free(facts->host_header);
    free(facts->description);
    socket_access_free(facts->access);
    socket_load_unref(facts->load);
    free(facts);
}

struct presence *presence_new(struct tunnel_ref ref, uint64_t socket, const char *service,
                              const char *instance)
{
    struct presence *presence = calloc(1, sizeof *presence);
    if (!presence)
        return NULL;
    atomic_init(&presence->references, 1);
    atomic_init(&presence->busy, 0);
    presence->ref = ref;
    presence->socket = socket;
    snprintf(presence->service, sizeof presence->service, "%s", service);
    snprintf(presence->instance, sizeof presence->instance, "%s", instance);
    return presence;
}

struct presence *presence_ref(struct presence *presence)
{
    atomic_fetch_add_explicit(&presence->references, 1, memory_order_relaxed);
    return presence;
}

void presence_unref(struct presence *presence)
{
    if (presence && atomic_fetch_sub_explicit(&presence->references, 1, memory_order_acq_rel) == 1)
        free(presence);
}
