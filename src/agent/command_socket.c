/* `streamplex socket ls|create|show|delete` */
#include <stdlib.h>

#include "agent/access_settings.h"
#include "agent/commands.h"
#include "agent/service.h"
#include "agent/socket_columns.h"

/* --- socket ls --- */

static const struct setting ls_rows[] = {
    CLIENT_SETTINGS,
    {0},
};

const struct settings_table socket_ls_table = {
    .command = "socket ls",
    .arguments = "",
    .summary = "Lists the account's sockets.",
    .settings = ls_rows,
    .size = sizeof(struct client_settings),
};

static enum client_status ls(struct client *client, void *values, char **arguments)
{
    json_t *answer;
    enum client_status status = client_ask(client, "GET", NULL, &answer, "/socket");
    if (status != CLIENT_DONE)
        return status;
    client_print_list(client, answer, socket_list_columns,
                      "There are no sockets yet: streamplex socket create --name NAME");
    json_decref(answer);
    return CLIENT_DONE;
}

int socket_ls_main(int argc, char **argv)
{
    static const struct client_command command = {&socket_ls_table, CLIENT_OWNER, ls, 0};
    return client_main(&command, argc, argv);
}

/* --- socket create --- */

struct create_settings {
    struct client_settings client;
    char *name;
    int type;
    char *hostname, *host_header;
    bool https_only;
    struct access_settings access;
};

static const struct setting create_rows[] = {
    CLIENT_SETTINGS,
    {.name = "name",
     .type = SETTING_TEXT,
     .offset = offsetof(struct create_settings, name),
     .environment = "STREAMPLEX_NAME",
     .placeholder = "NAME",
     .help = "What the socket is called.",
     .check = service_check_name},
    {.name = "type",
     .type = SETTING_CHOICE,
     .offset = offsetof(struct create_settings, type),
     .fallback = "https",
     .environment = "STREAMPLEX_TYPE",
     .placeholder = "TYPE",
     .help = "How visitors come: https or http (by a name on the shared ports), tls (a port of its "
             "own, the server does TLS), tcp (a port of its own, raw bytes), passthrough (by a "
             "name on the HTTPS port; the service does TLS itself).",
     .choices = service_types},
    {.name = "hostname",
     .type = SETTING_TEXT,
     .offset = offsetof(struct create_settings, hostname),
     .environment = "STREAMPLEX_HOSTNAME",
     .placeholder = "HOSTNAME",
     .help = "The host name asked for: one under the server's domain, or another that it allows. "
             "By default the server makes one up.",
     .check = service_check_host},
    {.name = "host-header",
     .type = SETTING_TEXT,
     .offset = offsetof(struct create_settings, host_header),
     .environment = "STREAMPLEX_HOST_HEADER",
     .placeholder = "HOST",
     .help = "What the service gets as Host, instead of what the visitor sent.",
     .check = service_check_host},
    {.name = "https-only",
     .type = SETTING_FLAG,
     .offset = offsetof(struct create_settings, https_only),
     .environment = "STREAMPLEX_HTTPS_ONLY",
     .help = "Visitors who come by plain HTTP are sent to HTTPS."},
    ACCESS_SETTINGS(offsetof(struct create_settings, access)),
    {0},
};

const struct settings_table socket_create_table = {
    .command = "socket create",
    .arguments = "",
    .summary = "Makes a socket that stays, with its address, until it is deleted. `streamplex "
               "tunnel create` and `streamplex tunnel connect` serve it.",
    .settings = create_rows,
    .size = sizeof(struct create_settings),
};

static enum client_status create_body(const struct client *client,
                                      const struct create_settings *settings, json_t *body)
{
    if (client_add_text(body, "name", settings->name) < 0 ||
        client_add_text(body, "socket_type", service_types[settings->type]) < 0 ||
        client_add_text(body, "hostname", settings->hostname) < 0 ||
        client_add_text(body, "host_header", settings->host_header) < 0 ||
        (settings->https_only && json_object_set_new(body, "https_only", json_true()) < 0))
        return client_fail(client, CLIENT_WRONG, "out of memory");
    return access_settings_body(client, &settings->access, body);
}

static enum client_status create(struct client *client, void *values, char **arguments)
{
    const struct create_settings *settings = values;
    json_t *answer, *body;
    enum client_status status = client_need(client, settings->name, "name");
    if (status != CLIENT_DONE)
        return status;
    body = json_object();
    status = create_body(client, settings, body);
    if (status != CLIENT_DONE) {
        json_decref(body);
        return status;
    }
    status = client_ask(client, "POST", body, &answer, "/socket");
    if (status != CLIENT_DONE)
        return status;
    client_print_list(client, answer, socket_list_columns, "");
    json_decref(answer);
    return CLIENT_DONE;
}

int socket_create_main(int argc, char **argv)
{
    static const struct client_command command = {&socket_create_table, CLIENT_OWNER, create, 0};
    return client_main(&command, argc, argv);
}

/* --- socket show, socket delete --- */

struct id_settings {
    struct client_settings client;
    char *socket_id;
};

static const struct setting id_rows[] = {
    CLIENT_SETTINGS,
    {.name = "socket-id",
     .type = SETTING_TEXT,
     .offset = offsetof(struct id_settings, socket_id),
     .environment = "STREAMPLEX_SOCKET_ID",
     .placeholder = "ID",
     .help = "The socket, as `streamplex socket ls` has it."},
    {0},
};

const struct settings_table socket_show_table = {
    .command = "socket show",
    .arguments = "",
    .summary = "Shows one socket, and its tunnels.",
    .settings = id_rows,
    .size = sizeof(struct id_settings),
};

const struct settings_table socket_delete_table = {
    .command = "socket delete",
    .arguments = "",
    .summary =
        "Deletes a socket: its address is free for others, and its tunnels serve it no more.",
    .settings = id_rows,
    .size = sizeof(struct id_settings),
};

static enum client_status show(struct client *client, void *values, char **arguments)
{
    const struct id_settings *settings = values;
    return socket_show(client, settings->socket_id, "");
}

static enum client_status delete (struct client *client, void *values, char **arguments) {
    const struct id_settings *settings = values;
    return socket_delete(client, settings->socket_id, "");
}

int socket_show_main(int argc, char **argv)
{
    static const struct client_command command = {&socket_show_table, CLIENT_OWNER, show, 0};
    return client_main(&command, argc, argv);
}

int socket_delete_main(int argc, char **argv)
{
    static const struct client_command command = {&socket_delete_table, CLIENT_OWNER, delete, 0};
    return client_main(&command, argc, argv);
}
