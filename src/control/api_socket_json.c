#include <stdlib.h>
#include <string.h>

#include "control/api_internal.h"

static json_t *prefixes_json(const struct prefix *prefixes, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < count; i++) {
        char *text = socket_access_format_prefixes(prefixes + i, 1);
        bool failed = !text || json_array_append_new(list, json_string(text)) < 0;
        free(text);
        if (failed) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

/* What the existing client looks at. */
static json_t *known_json(struct api *api, const struct socket_facts *facts, const char *user_name,
                          const struct socket_access *access)
{
    json_t *ports = json_array(), *tunnels = api_tunnels_json(api, facts);
    if (facts->port && ports)
        json_array_append_new(ports, json_integer(facts->port));
    /* "o" with NULL fails, and frees the others. */
    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:o,s:b,s:s,s:s,s:o,s:b,s:[],s:[]}", "socket_id",
                     facts->uuid, "dnsname", facts->hostname, "name", facts->name, "description",
                     facts->description ? facts->description : "", "socket_type",
                     socket_type_name(facts->type), "socket_tcp_ports", ports, "protected_socket",
                     access->is_protected, "protected_username",
                     access->username ? access->username : "", "user_name", user_name, "tunnels",
                     tunnels, "cloud_authentication_enabled", facts->cloud_authentication,
                     "cloud_authentication_email_allowed_addressses",
                     "cloud_authentication_email_allowed_domains");
}

static json_t *own_json(struct api *api, const struct socket_facts *facts, size_t agents,
                        const struct socket_access *access)
{
    char url[REGISTRY_HOST_MAX + 32] = "";
    api->host.socket_url(api->host.user, facts, url, sizeof url);
    return json_pack("{s:s,s:o,s:o,s:I,s:I,s:I,s:b,s:b,s:s,s:I,s:I}", "url", url, "allow",
                     prefixes_json(access->allow, access->allow_count), "deny",
                     prefixes_json(access->deny, access->deny_count), "rate",
                     (json_int_t)access->rate, "visitor_rate", (json_int_t)access->visitor_rate,
                     "max_connections", (json_int_t)access->max_connections, "client_ca",
                     access->client_ca != NULL, "https_only", facts->https_only, "host_header",
                     facts->host_header ? facts->host_header : "", "created",
                     (json_int_t)facts->created, "online", (json_int_t)agents);
}

json_t *api_socket_json(struct api *api, const struct socket_facts *facts, size_t agents,
                        const char *user_name)
{
    static const struct socket_access everybody;
    const struct socket_access *access = facts->access ? facts->access : &everybody;
    json_t *object = known_json(api, facts, user_name, access);
    json_t *own = own_json(api, facts, agents, access);
    if (object && (!own || json_object_update(object, own) < 0)) {
        json_decref(object);
        object = NULL;
    }
    json_decref(own);
    return object;
}

const char *api_socket_user_name(struct api *api, const char *owner)
{
    const struct account *account = accounts_find_uuid(api->accounts, owner);
    return account ? account->email : owner;
}

struct count {
    uint64_t id;
    size_t agents;
};

static void count_agents(void *user, struct socket_facts *facts, size_t agents)
{
    struct count *count = user;
    if (facts->id == count->id)
        count->agents = agents;
}

void api_socket_answer(struct api_call *call, const struct socket_facts *facts)
{
    struct api *api = call->api;
    struct count count = {facts->id, 0};
    api->host.each_socket(api->host.user, facts->owner, count_agents, &count);
    api_answer_json(
        call, api_socket_json(api, facts, count.agents, api_socket_user_name(api, facts->owner)));
}
