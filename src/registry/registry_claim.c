/* Who gets which name and port. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "registry/host_name.h"
#include "registry/registry_internal.h"

/* Of 400 million names, one that is taken is met once in a while; a hundred times in a row only
 * when the random bytes aren't random. */
#define NAME_TRIES 100

static bool is_custom(const struct registry *registry, const char *name)
{
    for (size_t i = 0; i < registry->domains.custom_count; i++)
        if (host_name_matches(name, registry->domains.custom[i]))
            return true;
    return false;
}

static int join(const char *label, const char *domain, char ret_host[REGISTRY_HOST_MAX + 1])
{
    size_t label_length = strlen(label), domain_size = strlen(domain) + 1;
    if (label_length + 1 + domain_size > REGISTRY_HOST_MAX + 1)
        return REGISTRY_BAD_NAME;
    memcpy(ret_host, label, label_length);
    ret_host[label_length] = '.';
    memcpy(ret_host + label_length + 1, domain, domain_size);
    return REGISTRY_OK;
}

/* The whole host name that was asked for. */
static int find_host(const struct registry *registry, const struct socket_claim *claim,
                     char ret_host[REGISTRY_HOST_MAX + 1])
{
    char label[64];
    if (host_name_parse_label(claim->hostname, label) == 0 && !is_custom(registry, label))
        return join(label, registry->domains.domain, ret_host);
    if (host_name_parse(claim->hostname, ret_host) < 0)
        return REGISTRY_BAD_NAME;
    if (host_name_is_below(ret_host, registry->domains.domain) || is_custom(registry, ret_host))
        return REGISTRY_OK;
    return REGISTRY_NOT_ALLOWED;
}

static int make_up_host(const struct registry *registry, char ret_host[REGISTRY_HOST_MAX + 1])
{
    char name[NAMES_SIZE];
    for (int i = 0; i < NAME_TRIES; i++) {
        if (names_make(registry->random, name) < 0)
            return REGISTRY_MEMORY;
        int error = join(name, registry->domains.domain, ret_host);
        if (error || !registry_index_find_host(registry, ret_host))
            return error;
    }
    return REGISTRY_MEMORY;
}

static int make_up_uuid(const struct registry *registry, char ret_uuid[UUID_SIZE])
{
    for (int i = 0; i < NAME_TRIES; i++) {
        if (uuid_make(registry->random, ret_uuid) < 0)
            return -1;
        if (!registry_index_find_uuid(registry, ret_uuid))
            return 0;
    }
    return -1;
}

/* Of these, the next port wouldn't fare better. */
static bool is_our_fault(int error)
{
    return error == -EMFILE || error == -ENFILE || error == -ENOMEM || error == -ENOBUFS;
}

/* The next free port that can be listened on; its listener is open then. */
static int find_port(struct registry *registry, struct socket_facts *facts)
{
    uint32_t first = registry->first_port, last = registry->last_port;
    uint32_t port = registry->last_given_port;
    if (!first || last < first)
        return REGISTRY_NO_PORT;
    for (uint32_t tries = last - first + 1; tries; tries--) {
        port = port < first || port >= last ? first : port + 1;
        if (registry_index_has_port(registry, (uint16_t)port))
            continue;
        facts->port = (uint16_t)port;
        int error = registry->callbacks.on_port(registry->user, facts, true);
        if (error == 0) {
            registry->last_given_port = (uint16_t)port;
            return REGISTRY_OK;
        }
        if (is_our_fault(error))
            break;
    }
    return REGISTRY_NO_PORT;
}

static int reserve_new(struct registry *registry, struct socket_facts *facts)
{
    bool has_port = !socket_type_has_host(facts->type);
    int error = has_port ? find_port(registry, facts) : REGISTRY_OK;
    if (error)
        return error;
    struct entry *entry = registry_index_add(registry, facts);
    if (!entry) {
        if (has_port)
            (void)registry->callbacks.on_port(registry->user, facts, false);
        return REGISTRY_MEMORY;
    }
    registry->last_id = facts->id;
    entry->wanted = socket_facts_ref(facts);
    return REGISTRY_OK;
}

/* host: asked for, or "". */
static int claim_new(struct registry *registry, const struct socket_claim *claim, char *host,
                     struct socket_facts **ret_facts)
{
    uint32_t most = registry->max_sockets_per_owner;
    int error = REGISTRY_OK;
    if (most && registry_index_count_owner(registry, claim->owner) >= most)
        return REGISTRY_TOO_MANY;
    if (!socket_type_has_host(claim->type))
        strcpy(host, registry->domains.domain);
    else if (!*host)
        error = make_up_host(registry, host);
    if (error)
        return error;
    bool is_http = registry_is_same_kind(claim->type, SOCKET_HTTP);
    struct socket_facts values = {
        .id = registry->last_id + 1,
        .type = claim->type,
        .owner = (char *)claim->owner,
        .name = (char *)claim->name,
        .hostname = host,
        .created = (uint64_t)time(NULL),
        .https_only = is_http && claim->https_only,
        .host_header = is_http ? (char *)claim->host_header : NULL,
        .description = (char *)claim->description,
        .access = (struct socket_access *)claim->access,
    };
    struct socket_facts *facts =
        make_up_uuid(registry, values.uuid) < 0 ? NULL : socket_facts_new(&values);
    if (!facts)
        return REGISTRY_MEMORY;
    error = reserve_new(registry, facts);
    if (error)
        socket_facts_unref(facts);
    else
        *ret_facts = facts;
    return error;
}

static bool is_same(const struct socket_facts *a, const struct socket_facts *b)
{
    return a->type == b->type && strcmp(a->hostname, b->hostname) == 0 &&
           a->https_only == b->https_only && text_equal(a->host_header, b->host_header) &&
           text_equal(a->description, b->description) && socket_access_equal(a->access, b->access);
}

static int reserve_change(struct registry *registry, struct entry *entry,
                          const struct socket_facts *values)
{
    struct socket_facts *facts = socket_facts_new(values);
    if (!facts)
        return REGISTRY_MEMORY;
    if (strcmp(values->hostname, entry->facts->hostname) != 0) {
        entry->host_wanted = registry_index_add_host(registry, entry, values->hostname);
        if (!entry->host_wanted) {
            socket_facts_unref(facts);
            return REGISTRY_MEMORY;
        }
    }
    entry->wanted = facts;
    return REGISTRY_OK;
}

static int claim_again(struct registry *registry, struct entry *entry,
                       const struct socket_claim *claim, char *host,
                       struct socket_facts **ret_facts, bool *ret_is_changed)
{
    const struct socket_facts *current = registry_current(entry);
    if (strcmp(current->owner, claim->owner) != 0)
        return REGISTRY_TAKEN;
    if (!registry_is_same_kind(current->type, claim->type))
        return REGISTRY_OTHER_TYPE;
    if (!entry->wanted) {
        bool is_http = registry_is_same_kind(claim->type, SOCKET_HTTP);
        struct socket_facts values = socket_facts_values(entry->facts);
        values.type = claim->type;
        values.https_only = is_http && claim->https_only;
        values.host_header = is_http ? (char *)claim->host_header : NULL;
        if (claim->description)
            values.description = (char *)claim->description;
        if (claim->access)
            values.access = (struct socket_access *)claim->access;
        if (*host)
            values.hostname = host;
        int error =
            is_same(&values, entry->facts) ? REGISTRY_OK : reserve_change(registry, entry, &values);
        if (error)
            return error;
    }
    *ret_is_changed = entry->wanted;
    *ret_facts = socket_facts_ref(registry_current(entry));
    return REGISTRY_OK;
}

int registry_claim(struct registry *registry, const struct socket_claim *claim,
                   struct socket_facts **ret_facts, bool *ret_is_changed)
{
    char host[REGISTRY_HOST_MAX + 1] = "";
    struct entry *entry = NULL;
    if (!registry_is_name(claim->owner, REGISTRY_OWNER_MAX) ||
        !registry_is_name(claim->name, REGISTRY_NAME_MAX) ||
        (claim->host_header && !registry_is_host_header(claim->host_header)) ||
        !registry_is_description(claim->description))
        return REGISTRY_BAD_NAME;
    if (claim->hostname && !socket_type_has_host(claim->type))
        return REGISTRY_NOT_ALLOWED;
    if (claim->hostname) {
        int error = find_host(registry, claim, host);
        if (error)
            return error;
        entry = registry_index_find_host(registry, host);
    }
    if (!entry)
        entry = registry_index_find_name(registry, claim->owner, claim->name);
    if (entry)
        return claim_again(registry, entry, claim, host, ret_facts, ret_is_changed);
    int error = claim_new(registry, claim, host, ret_facts);
    if (error == REGISTRY_OK)
        *ret_is_changed = true;
    return error;
}
