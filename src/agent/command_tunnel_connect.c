/* `streamplex tunnel connect`: an agent for a socket that stays. */
#include <stdlib.h>
#include <string.h>

#include "agent/commands.h"
#include "agent/connect.h"
#include "agent/connect_login.h"
#include "agent/login_keeper.h"
#include "agent/service.h"

struct tunnel_connect_settings {
    struct client_settings client;
    char *socket_id, *tunnel_id;
    struct service_settings service;
    char *server, *pin;
    bool once;
};

#define AT(field) offsetof(struct tunnel_connect_settings, field)

static const struct setting rows[] = {
    CLIENT_SETTINGS,
    {.name = "socket-id",
     .type = SETTING_TEXT,
     .offset = AT(socket_id),
     .environment = "STREAMPLEX_SOCKET_ID",
     .placeholder = "ID",
     .help = "The socket, as `streamplex socket ls` has it."},
    {.name = "tunnel-id",
     .type = SETTING_TEXT,
     .offset = AT(tunnel_id),
     .environment = "STREAMPLEX_TUNNEL_ID",
     .placeholder = "ID",
     .help =
         "The tunnel, as `streamplex tunnel ls` has it. One agent serves a tunnel: a second one "
         "takes its place."},
    {.name = "port",
     .type = SETTING_NUMBER,
     .offset = AT(service.port),
     .environment = "STREAMPLEX_PORT",
     .placeholder = "PORT",
     .help = "The port of the local service.",
     .least = 1,
     .most = UINT16_MAX},
    {.name = "host",
     .type = SETTING_TEXT,
     .offset = AT(service.host),
     .fallback = "127.0.0.1",
     .environment = "STREAMPLEX_HOST",
     .placeholder = "HOST",
     .help = "Where the service runs: an address, or a name.",
     .check = service_check_host},
    {.name = "unix",
     .type = SETTING_TEXT,
     .offset = AT(service.unix_path),
     .environment = "STREAMPLEX_UNIX",
     .placeholder = "PATH",
     .help = "The service's Unix socket, instead of --port.",
     .check = service_check_unix},
    {.name = "dir",
     .type = SETTING_TEXT,
     .offset = AT(service.folder),
     .environment = "STREAMPLEX_DIR",
     .placeholder = "PATH",
     .help = "Serves this folder's files, instead of --port: no other program is needed."},
    {.name = "upstream-tls",
     .type = SETTING_FLAG,
     .offset = AT(service.upstream_tls),
     .environment = "STREAMPLEX_UPSTREAM_TLS",
     .help = "The service speaks TLS; its certificate is checked."},
    {.name = "upstream-insecure",
     .type = SETTING_FLAG,
     .offset = AT(service.upstream_insecure),
     .environment = "STREAMPLEX_UPSTREAM_INSECURE",
     .help = "The same, and its certificate isn't checked."},
    {.name = "proxy-protocol",
     .type = SETTING_CHOICE,
     .offset = AT(service.proxy_protocol),
     .fallback = "none",
     .environment = "STREAMPLEX_PROXY_PROTOCOL",
     .placeholder = "VERSION",
     .help = "Tells the service who really connects, by a PROXY header before anything else: none, "
             "v1 or v2.",
     .choices = service_proxy_versions},
    {.name = "server",
     .type = SETTING_TEXT,
     .offset = AT(server),
     .environment = "STREAMPLEX_SERVER",
     .placeholder = "HOST[:PORT]",
     .help = "The server that the tunnel goes to, when it isn't where the API says."},
    {.name = "pin",
     .type = SETTING_TEXT,
     .offset = AT(pin),
     .environment = "STREAMPLEX_PIN",
     .placeholder = "sha256:HEX",
     .help = "Trusts the one server whose certificate, or public key, has this SHA-256."},
    {.name = "once",
     .type = SETTING_FLAG,
     .offset = AT(once),
     .environment = "STREAMPLEX_ONCE",
     .help =
         "Ends when the server can't be reached, or the tunnel is lost, instead of trying again "
         "for ever."},
    {0},
};

const struct settings_table tunnel_connect_table = {
    .command = "tunnel connect",
    .arguments = "",
    .summary = "Serves a socket that `streamplex socket create` made, by one of its tunnels, until "
               "a signal ends it; the socket and the tunnel stay. Prints \"NAME - URL\" and then a "
               "line a visit.",
    .settings = rows,
    .size = sizeof(struct tunnel_connect_settings),
};

/* --- What the API knows --- */

/* *ret_socket and *ret_tunnel: new, with CLIENT_DONE. */
static enum client_status look_up(struct client *client,
                                  const struct tunnel_connect_settings *settings,
                                  json_t **ret_socket, json_t **ret_tunnel)
{
    enum client_status status = client_need(client, settings->socket_id, "socket-id");
    if (status == CLIENT_DONE)
        status = client_need(client, settings->tunnel_id, "tunnel-id");
    if (status != CLIENT_DONE)
        return status;
    char *socket_id = client_segment(settings->socket_id);
    char *tunnel_id = client_segment(settings->tunnel_id);
    json_t *socket = NULL;
    if (!socket_id || !tunnel_id)
        status = client_fail(client, CLIENT_WRONG, "there is no such id");
    if (status == CLIENT_DONE)
        status = client_ask(client, "GET", NULL, &socket, "/socket/%s", socket_id);
    if (status == CLIENT_DONE)
        status = client_ask(client, "GET", NULL, ret_tunnel, "/socket/%s/tunnel/%s", socket_id,
                            tunnel_id);
    free(socket_id);
    free(tunnel_id);
    if (status == CLIENT_DONE)
        *ret_socket = socket;
    else
        json_decref(socket);
    return status;
}

static int find_type(const char *name)
{
    for (int i = 0; service_types[i]; i++)
        if (strcmp(service_types[i], name) == 0)
            return i;
    return -1;
}

/* Fills the request as connect_request_read() would. 0, or -1 with a sentence. */
static int make_request(struct connect_request *request, struct tunnel_connect_settings *settings,
                        const struct login *login, const json_t *socket, const json_t *tunnel,
                        char *error, size_t error_size)
{
    struct service_settings *service = &settings->service;
    request->settings.json = settings->client.json;
    request->settings.once = settings->once;
    /* Borrowed: the request's settings are never freed as connect's. */
    request->settings.reach.server = settings->server;
    request->settings.reach.pin = settings->pin;
    service->type = find_type(client_text(socket, "socket_type"));
    if (service->type < 0) {
        snprintf(error, error_size, "the socket is of a type that this program doesn't know");
        return -1;
    }
    if (service_list_add(&request->services, service, client_text(socket, "name"), "", error,
                         error_size) < 0 ||
        connect_login_adopt(&request->services.items[0], socket, error, error_size) < 0)
        return -1;
    return connect_login_reach(&request->reach, &request->settings.reach, login,
                               client_text(tunnel, "tunnel_server"), error, error_size);
}

/* --- Serving --- */

static enum client_status status_of(enum connect_status status)
{
    switch (status) {
    case CONNECT_DONE:
        return CLIENT_DONE;
    case CONNECT_BAD_TOKEN:
        return CLIENT_LOGIN;
    case CONNECT_UNREACHABLE:
    case CONNECT_UNTRUSTED:
        return CLIENT_UNREACHABLE;
    case CONNECT_WRONG_USE:
    case CONNECT_NOT_OURS:
    case CONNECT_NO_EDGE:
        break;
    }
    return CLIENT_WRONG;
}

static enum client_status serve(struct client *client, struct tunnel_connect_settings *settings,
                                const json_t *socket, const json_t *tunnel)
{
    struct connect_request request = {.with_login = true};
    enum client_status status = CLIENT_WRONG;
    char error[512];
    if (make_request(&request, settings, &client->login, socket, tunnel, error, sizeof error) < 0) {
        client_fail(client, status, "%s", error);
    } else {
        struct login_keeper *keeper = login_keeper_new(&client->login);
        /* The tunnel's id is who the agent is: when it comes back, it takes its own place. */
        status = status_of(connect_serve(&request, settings->tunnel_id, keeper));
        login_keeper_free(keeper);
    }
    reach_deinit(&request.reach);
    service_list_deinit(&request.services);
    return status;
}

static enum client_status tunnel_connect(struct client *client, void *values, char **arguments)
{
    json_t *socket = NULL, *tunnel = NULL;
    enum client_status status = look_up(client, values, &socket, &tunnel);
    if (status == CLIENT_DONE)
        status = serve(client, values, socket, tunnel);
    json_decref(socket);
    json_decref(tunnel);
    return status;
}

int tunnel_connect_main(int argc, char **argv)
{
    static const struct client_command command = {&tunnel_connect_table, CLIENT_OWNER,
                                                  tunnel_connect, 0};
    return client_main(&command, argc, argv);
}
