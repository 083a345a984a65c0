/* What the API does to sockets, by the same ways to registry and store that agents' questions go.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "server/sockets_internal.h"

/* --- Changing --- */

void sockets_consider_change(struct sockets *sockets, struct socket_question *question)
{
    struct socket_facts *wanted = question->wanted;
    int error =
        sockets->is_draining ? REGISTRY_DRAINING : registry_reserve(sockets->registry, wanted);
    if (error)
        sockets_finish(sockets, question, error, NULL);
    else
        sockets_store_for(sockets, question, wanted);
}

/* --- Removing --- */

struct socket_removal {
    struct socket_removal *next, **link;
    struct sockets *sockets;
    struct socket_facts *facts;
    void (*on_done)(void *user, int error);
    void *user;
};

static void end_removal(struct socket_removal *removal)
{
    *removal->link = removal->next;
    if (removal->next)
        removal->next->link = removal->link;
    socket_facts_unref(removal->facts);
    free(removal);
}

static void on_swept(void *user, const char *error)
{
    if (error)
        log_write(LOG_ERROR, LOG_FIELDS(LOG_TEXT("error", error)),
                  "a removed socket may be back after a restart");
}

/* From the store first: what can't be written down hasn't happened, and its agents go on. An agent
 * that came meanwhile may have put the socket there once more, hence the second time. */
static void on_removed(void *user, const char *error)
{
    struct socket_removal *removal = user;
    struct sockets *sockets = removal->sockets;
    int result = REGISTRY_STORE;
    if (error) {
        log_write(
            LOG_ERROR,
            LOG_FIELDS(LOG_TEXT("hostname", removal->facts->hostname), LOG_TEXT("error", error)),
            "can't remove a socket");
    } else {
        result = registry_remove(sockets->registry, removal->facts->id);
        int asked = store_remove_socket(sockets->store, removal->facts->id, on_swept, NULL);
        if (asked)
            on_swept(NULL, store_error_text(asked));
    }
    removal->on_done(removal->user, result);
    end_removal(removal);
}

int sockets_remove(struct sockets *sockets, uint64_t id, void (*on_done)(void *user, int error),
                   void *user)
{
    struct socket_facts *facts = registry_find_id(sockets->registry, id);
    if (!facts)
        return REGISTRY_UNKNOWN;
    struct socket_removal *removal = calloc(1, sizeof *removal);
    if (!removal)
        return REGISTRY_MEMORY;
    *removal = (struct socket_removal){
        .sockets = sockets, .facts = socket_facts_ref(facts), .on_done = on_done, .user = user};
    removal->link = &sockets->removals;
    removal->next = sockets->removals;
    if (removal->next)
        removal->next->link = &removal->next;
    sockets->removals = removal;
    int asked = store_remove_socket(sockets->store, id, on_removed, removal);
    if (!asked)
        return 0;
    log_write(LOG_ERROR,
              LOG_FIELDS(LOG_TEXT("hostname", facts->hostname),
                         LOG_TEXT("error", store_error_text(asked))),
              "can't remove a socket");
    end_removal(removal);
    return REGISTRY_STORE;
}

void sockets_drop_removals(struct sockets *sockets)
{
    while (sockets->removals)
        end_removal(sockets->removals);
}

/* --- Scopes and names --- */

/* A label stands for the name below the domain. */
static void complete(const struct sockets *sockets, const char *hostname,
                     char whole[2 * REGISTRY_HOST_MAX + 2])
{
    bool is_label = *hostname && !strchr(hostname, '.');
    snprintf(whole, 2 * REGISTRY_HOST_MAX + 2, "%s%s%s", hostname, is_label ? "." : "",
             is_label ? sockets->config->settings.edge_domain : "");
    size_t length = strlen(whole);
    if (length && whole[length - 1] == '.')
        whole[length - 1] = '\0';
}

bool sockets_is_reserved(const struct sockets *sockets, const char *hostname)
{
    char whole[2 * REGISTRY_HOST_MAX + 2];
    complete(sockets, hostname, whole);
    return sockets->config->api_host && !strcasecmp(whole, sockets->config->api_host);
}

struct search {
    const char *name, *hostname;
    const struct socket_facts *by_name, *by_host;
};

static void match(void *user, struct socket_facts *facts, size_t presences)
{
    struct search *search = user;
    if (!strcmp(facts->name, search->name))
        search->by_name = facts;
    if (*search->hostname && socket_type_has_host(facts->type) &&
        !strcasecmp(facts->hostname, search->hostname))
        search->by_host = facts;
}

bool sockets_is_in_scope(const struct sockets *sockets, const struct socket_question *question)
{
    const struct grant *grant = question->grant;
    char hostname[2 * REGISTRY_HOST_MAX + 2];
    if (!grant || !grant->sockets)
        return true;
    complete(sockets, question->hostname, hostname);
    struct search search = {.name = question->name, .hostname = hostname};
    registry_each_of(sockets->registry, question->owner, match, &search);
    const struct socket_facts *found = search.by_host ? search.by_host : search.by_name;
    if (!found)
        return grant_may_serve(grant, question->name, *hostname ? hostname : NULL);
    if (!grant_may_serve(grant, found->name, found->hostname))
        return false;
    /* by its name alone it may serve the socket, not give it another host name */
    return found == search.by_host || !*hostname || grant_may_serve(grant, NULL, hostname);
}

/* --- Asking --- */

struct store *sockets_store(struct sockets *sockets)
{
    return sockets->store;
}

struct registry *sockets_registry(struct sockets *sockets)
{
    return sockets->registry;
}
