/* `streamplex tunnel ls|create|delete`: the tunnels that a socket has been given. */
#include <stdlib.h>

#include "agent/commands.h"
#include "agent/socket_columns.h"

struct tunnel_settings {
    struct client_settings client;
    char *socket_id, *tunnel_id;
};

#define SOCKET_ID_ROW                                                                              \
    {                                                                                              \
        .name = "socket-id", .type = SETTING_TEXT,                                                 \
        .offset = offsetof(struct tunnel_settings, socket_id),                                     \
        .environment = "STREAMPLEX_SOCKET_ID", .placeholder = "ID",                                \
        .help = "The socket, as `streamplex socket ls` has it."                                    \
    }

static const struct setting socket_rows[] = {
    CLIENT_SETTINGS,
    SOCKET_ID_ROW,
    {0},
};

static const struct setting delete_rows[] = {
    CLIENT_SETTINGS,
    SOCKET_ID_ROW,
    {.name = "tunnel-id",
     .type = SETTING_TEXT,
     .offset = offsetof(struct tunnel_settings, tunnel_id),
     .environment = "STREAMPLEX_TUNNEL_ID",
     .placeholder = "ID",
     .help = "The tunnel, as `streamplex tunnel ls` has it."},
    {0},
};

const struct settings_table tunnel_ls_table = {
    .command = "tunnel ls",
    .arguments = "",
    .summary = "Lists a socket's tunnels.",
    .settings = socket_rows,
    .size = sizeof(struct tunnel_settings),
};

const struct settings_table tunnel_create_table = {
    .command = "tunnel create",
    .arguments = "",
    .summary = "Gives a socket one more tunnel: an agent's place, for `streamplex tunnel connect`. "
               "Agents on several of them share the visitors.",
    .settings = socket_rows,
    .size = sizeof(struct tunnel_settings),
};

const struct settings_table tunnel_delete_table = {
    .command = "tunnel delete",
    .arguments = "",
    .summary = "Takes a tunnel from a socket.",
    .settings = delete_rows,
    .size = sizeof(struct tunnel_settings),
};

/* Asks for the socket's tunnels and shows the answer. */
static enum client_status ask(struct client *client, const struct tunnel_settings *settings,
                              const char *method, json_t *body)
{
    json_t *answer;
    char *segment = settings->socket_id ? client_segment(settings->socket_id) : NULL;
    enum client_status status = client_need(client, settings->socket_id, "socket-id");
    if (status == CLIENT_DONE && !segment)
        status = client_fail(client, CLIENT_WRONG, "\"%s\" is no id", settings->socket_id);
    if (status == CLIENT_DONE)
        status = client_ask(client, method, body, &answer, "/socket/%s/tunnel", segment);
    else
        json_decref(body);
    free(segment);
    if (status != CLIENT_DONE)
        return status;
    client_print_list(client, answer, tunnel_list_columns,
                      "It has no tunnels yet: streamplex tunnel create");
    json_decref(answer);
    return CLIENT_DONE;
}

static enum client_status ls(struct client *client, void *values, char **arguments)
{
    return ask(client, values, "GET", NULL);
}

static enum client_status create(struct client *client, void *values, char **arguments)
{
    return ask(client, values, "POST", json_object());
}

static enum client_status delete (struct client *client, void *values, char **arguments) {
    const struct tunnel_settings *settings = values; char path[512];
    enum client_status status = client_need(client, settings->socket_id, "socket-id");
    if (status == CLIENT_DONE) status = client_need(client, settings->tunnel_id, "tunnel-id");
    if (status != CLIENT_DONE) return status;
    char *segment = client_segment(settings->socket_id);
    int length = segment ? snprintf(path, sizeof path, "/socket/%s/tunnel", segment) : -1;
    free(segment);
    if (length < 0 || (size_t)length >= sizeof path) return client_fail(client, CLIENT_WRONG,
                                                                        "\"%s\" is no id",
                                                                        settings->socket_id);
    return client_delete(client, path, settings->tunnel_id, "Tunnel deleted.");
}

int tunnel_ls_main(int argc, char **argv)
{
    static const struct client_command command = {&tunnel_ls_table, CLIENT_OWNER, ls, 0};
    return client_main(&command, argc, argv);
}

int tunnel_create_main(int argc, char **argv)
{
    static const struct client_command command = {&tunnel_create_table, CLIENT_OWNER, create, 0};
    return client_main(&command, argc, argv);
}

int tunnel_delete_main(int argc, char **argv)
{
    static const struct client_command command = {&tunnel_delete_table, CLIENT_OWNER, delete, 0};
    return client_main(&command, argc, argv);
}
