/* What else is the operator's: everybody's sockets, tunnels as they are now, a backup. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "control/api_internal.h"

/* --- Sockets --- */

static void list_socket(void *user, struct socket_facts *facts, size_t agents)
{
    struct api_call *call = user;
    api_list_append(call, api_socket_json(call->api, facts, agents,
                                          api_socket_user_name(call->api, facts->owner)));
}

void api_admin_list_sockets(struct api_call *call)
{
    struct api *api = call->api;
    call->list = json_array();
    api->host.each_socket(api->host.user, NULL, list_socket, call);
    api_answer_list(call);
}

static struct socket_facts *find_socket(struct api_call *call)
{
    struct api *api = call->api;
    struct socket_facts *facts = api->host.find_socket(api->host.user, call->ids[0]);
    if (!facts)
        api_answer_unknown(call, "socket");
    return facts;
}

void api_admin_show_socket(struct api_call *call)
{
    const struct socket_facts *facts = find_socket(call);
    if (facts)
        api_socket_answer(call, facts);
}

void api_admin_delete_socket(struct api_call *call)
{
    struct socket_facts *facts = find_socket(call);
    if (facts)
        api_socket_remove(call, facts);
}

/* --- Tunnels --- */

static void list_tunnel(void *user, const struct api_tunnel *tunnel)
{
    struct api_call *call = user;
    api_list_append(call, json_pack("{s:I,s:s,s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:I}", "tunnel_id",
                                    (json_int_t)tunnel->id, "owner", tunnel->owner, "user_name",
                                    api_socket_user_name(call->api, tunnel->owner), "address",
                                    tunnel->address, "token_id", tunnel->token, "since",
                                    (json_int_t)tunnel->since, "rtt", (json_int_t)tunnel->rtt,
                                    "substreams", (json_int_t)tunnel->substreams, "bytes_in",
                                    (json_int_t)tunnel->bytes_in, "bytes_out",
                                    (json_int_t)tunnel->bytes_out));
}

static void tunnels_listed(void *user)
{
    api_answer_list(user);
}

void api_admin_list_tunnels(struct api_call *call)
{
    struct api *api = call->api;
    call->list = json_array();
    api->host.list_tunnels(api->host.user, NULL, list_tunnel, tunnels_listed, call);
}

static void tunnel_closed(void *user, bool found)
{
    struct api_call *call = user;
    if (found)
        api_answer_nothing(call);
    else
        api_answer_unknown(call, "tunnel");
}

void api_admin_close_tunnel(struct api_call *call)
{
    struct api *api = call->api;
    const char *id = call->ids[0];
    if (strspn(id, "0123456789") != strlen(id) || strlen(id) > 19)
        tunnel_closed(call, false);
    else
        api->host.close_tunnel(api->host.user, strtoull(id, NULL, 10), tunnel_closed, call);
}

/* --- Backup --- */

static void backed_up(void *user, const char *error)
{
    struct api_call *call = user;
    if (error)
        api_answer_error(call, 503, "BACKUP_FAILED", 0, "%s", error);
    else
        api_answer_json(call, json_pack("{s:O}", "file", json_object_get(call->body, "file")));
}

void api_admin_backup(struct api_call *call)
{
    struct api *api = call->api;
    struct api_values in = {.object = call->body};
    const char *file = api_values_needed_line(&in, "file", 1, PATH_MAX - 1);
    /* The server's folder isn't where the operator stands. */
    if (file && *file != '/')
        api_values_fault(&in, "file must be a path from the root");
    if (api_values_refuse(&in, call))
        return;
    if (api->host.backup(api->host.user, file, backed_up, call) < 0)
        api_answer_error(call, 429, "BUSY", 2, "the store has too much to do right now");
}
