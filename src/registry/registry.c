#include "registry/registry.h"

#include <stdlib.h>
#include <string.h>

#include "net/pki.h"
#include "registry/host_name.h"
#include "registry/registry_internal.h"

static void free_domains(struct registry_domains *domains)
{
    for (size_t i = 0; i < domains->custom_count; i++)
        free(domains->custom[i]);
    free(domains->custom);
    free(domains->domain);
    *domains = (struct registry_domains){0};
}

/* "example.com" or "*.example.com", folded, to be freed; *ret_error otherwise. */
static char *copy_pattern(const char *text, int *ret_error)
{
    char pattern[2 + REGISTRY_HOST_MAX + 1] = "*.";
    bool is_wild = strncmp(text, "*.", 2) == 0;
    if (host_name_parse(text + (is_wild ? 2 : 0), pattern + 2) < 0) {
        *ret_error = REGISTRY_BAD_NAME;
        return NULL;
    }
    char *copy = strdup(pattern + (is_wild ? 0 : 2));
    if (!copy)
        *ret_error = REGISTRY_MEMORY;
    return copy;
}

static int copy_domains(const struct registry_options *options,
                        struct registry_domains *ret_domains)
{
    char domain[REGISTRY_HOST_MAX + 1];
    struct registry_domains domains = {0};
    int error = REGISTRY_OK;
    if (host_name_parse(options->domain, domain) < 0)
        return REGISTRY_BAD_NAME;
    domains.domain = strdup(domain);
    domains.custom = calloc(options->custom_domain_count + 1, sizeof *domains.custom);
    if (!domains.domain || !domains.custom)
        error = REGISTRY_MEMORY;
    while (error == REGISTRY_OK && domains.custom_count < options->custom_domain_count) {
        char *copy = copy_pattern(options->custom_domains[domains.custom_count], &error);
        if (copy)
            domains.custom[domains.custom_count++] = copy;
    }
    if (error) {
        free_domains(&domains);
        return error;
    }
    *ret_domains = domains;
    return REGISTRY_OK;
}

int registry_configure(struct registry *registry, const struct registry_options *options)
{
    struct registry_domains domains;
    int error = copy_domains(options, &domains);
    if (error)
        return error;
    free_domains(&registry->domains);
    registry->domains = domains;
    registry->first_port = options->first_port;
    registry->last_port = options->last_port;
    registry->max_sockets_per_owner = options->max_sockets_per_owner;
    registry->random = options->random ? options->random : pki_random;
    return REGISTRY_OK;
}

int registry_new(const struct registry_options *options, const struct registry_callbacks *callbacks,
                 void *user, struct registry **ret_registry)
{
    struct registry *registry = calloc(1, sizeof *registry);
    if (!registry)
        return REGISTRY_MEMORY;
    registry->callbacks = *callbacks;
    registry->user = user;
    int error = registry_configure(registry, options);
    if (error) {
        free(registry);
        return error;
    }
    *ret_registry = registry;
    return REGISTRY_OK;
}

void registry_free(struct registry *registry)
{
    if (!registry)
        return;
    while (registry->tunnels) {
        struct tunnel_entry *tunnel = registry->tunnels;
        HASH_DEL(registry->tunnels, tunnel);
        presences_deinit(&tunnel->presences);
        free(tunnel);
    }
    while (registry->by_id)
        registry_index_remove(registry, registry->by_id);
    free_domains(&registry->domains);
    free(registry);
}

void registry_publish(struct registry *registry, enum registry_change_kind kind,
                      struct socket_facts *facts, struct presence *presence)
{
    const struct registry_change change = {kind, facts, presence};
    struct owner_node *owner = registry_index_find_owner(registry, facts->owner);
    registry->version++;
    if (owner)
        owner->version = registry->version;
    registry->callbacks.on_change(registry->user, &change);
}

/* The entry in which these facts are reserved, or NULL. */
static struct entry *find_reserved(struct registry *registry, const struct socket_facts *facts)
{
    struct entry *entry = registry_index_find_id(registry, facts->id);
    return entry && entry->wanted == facts ? entry : NULL;
}

void registry_commit(struct registry *registry, struct socket_facts *facts)
{
    struct entry *entry = find_reserved(registry, facts);
    if (!entry)
        return;
    if (entry->host_wanted) {
        registry_index_remove_host(registry, entry->host);
        entry->host = entry->host_wanted;
        entry->host_wanted = NULL;
    }
    if (entry->name_wanted) {
        registry_index_remove_name(registry, entry->name);
        entry->name = entry->name_wanted;
        entry->name_wanted = NULL;
    }
    socket_facts_unref(entry->facts);
    entry->facts = entry->wanted;
    entry->wanted = NULL;
    registry_publish(registry, REGISTRY_PUT, entry->facts, NULL);
}

void registry_cancel(struct registry *registry, struct socket_facts *facts)
{
    struct entry *entry = find_reserved(registry, facts);
    if (entry)
        registry_cancel_entry(registry, entry);
}

void registry_cancel_entry(struct registry *registry, struct entry *entry)
{
    if (!entry->facts) {
        if (entry->port)
            (void)registry->callbacks.on_port(registry->user, entry->wanted, false);
        registry_index_remove(registry, entry);
        return;
    }
    registry_index_remove_host(registry, entry->host_wanted);
    entry->host_wanted = NULL;
    registry_index_remove_name(registry, entry->name_wanted);
    entry->name_wanted = NULL;
    socket_facts_unref(entry->wanted);
    entry->wanted = NULL;
}

/* Whatever the domain was when a socket of a port was made: it is reached at today's. */
static struct socket_facts *at_domain(const struct registry *registry, struct socket_facts *facts)
{
    if (socket_type_has_host(facts->type) || strcmp(facts->hostname, registry->domains.domain) == 0)
        return socket_facts_ref(facts);
    struct socket_facts values = socket_facts_values(facts);
    values.hostname = registry->domains.domain;
    return socket_facts_new(&values);
}

int registry_load(struct registry *registry, struct socket_facts *facts)
{
    if (registry_index_find_id(registry, facts->id) ||
        registry_index_find_name(registry, facts->owner, facts->name) ||
        (socket_type_has_host(facts->type) &&
         registry_index_find_host(registry, facts->hostname)) ||
        (facts->port && registry_index_has_port(registry, facts->port)) ||
        (*facts->uuid && registry_index_find_uuid(registry, facts->uuid)))
        return REGISTRY_TAKEN;
    struct socket_facts *ours = at_domain(registry, facts);
    struct entry *entry = ours ? registry_index_add(registry, ours) : NULL;
    if (!entry) {
        socket_facts_unref(ours);
        return REGISTRY_MEMORY;
    }
    entry->facts = ours;
    registry_set_last_id(registry, facts->id);
    registry_publish(registry, REGISTRY_PUT, ours, NULL);
    return REGISTRY_OK;
}

void registry_set_last_id(struct registry *registry, uint64_t id)
{
    if (id > registry->last_id)
        registry->last_id = id;
}

void registry_each(struct registry *registry,
                   void (*each)(void *user, const struct registry_change *change), void *user)
{
    for (struct entry *entry = registry->by_id; entry; entry = entry->by_id.next) {
        if (!entry->facts)
            continue;
        each(user, &(const struct registry_change){REGISTRY_PUT, entry->facts, NULL});
        for (size_t i = 0; i < entry->presences.count; i++)
            each(user, &(const struct registry_change){REGISTRY_ONLINE, entry->facts,
                                                       entry->presences.items[i]});
    }
}

size_t registry_count(const struct registry *registry)
{
    return HASH_CNT(by_id, registry->by_id);
}
