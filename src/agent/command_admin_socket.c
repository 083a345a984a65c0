/* `streamplex admin socket ls|show|delete` */
#include "agent/commands.h"
#include "agent/socket_columns.h"

struct id_settings {
    struct client_settings client;
    char *socket_id;
};

static const struct setting ls_rows[] = {
    CLIENT_ADMIN_SETTINGS,
    {0},
};

static const struct setting id_rows[] = {
    CLIENT_ADMIN_SETTINGS,
    {.name = "socket-id",
     .type = SETTING_TEXT,
     .offset = offsetof(struct id_settings, socket_id),
     .environment = "STREAMPLEX_SOCKET_ID",
     .placeholder = "ID",
     .help = "The socket, as `streamplex admin socket ls` has it."},
    {0},
};

const struct settings_table admin_socket_ls_table = {
    .command = "admin socket ls",
    .arguments = "",
    .summary = "Lists everybody's sockets.",
    .settings = ls_rows,
    .size = sizeof(struct client_settings),
};

const struct settings_table admin_socket_show_table = {
    .command = "admin socket show",
    .arguments = "",
    .summary = "Shows one socket, and its tunnels.",
    .settings = id_rows,
    .size = sizeof(struct id_settings),
};

const struct settings_table admin_socket_delete_table = {
    .command = "admin socket delete",
    .arguments = "",
    .summary = "Deletes a socket, whosever it is.",
    .settings = id_rows,
    .size = sizeof(struct id_settings),
};

static enum client_status ls(struct client *client, void *values, char **arguments)
{
    static const struct client_column columns[] = {
        {"socket_id", "socket_id", CLIENT_TEXT},
        {"user", "user_name", CLIENT_TEXT},
        {"dns_name", "dnsname", CLIENT_TEXT},
        {"type", "socket_type", CLIENT_TEXT},
        {"port(s)", "socket_tcp_ports", CLIENT_TEXT},
        {"name", "name", CLIENT_TEXT},
        {"protected", "protected_socket", CLIENT_TEXT},
        {"online", "online", CLIENT_TEXT},
        {0},
    };
    json_t *answer;
    enum client_status status = client_ask(client, "GET", NULL, &answer, "/admin/socket");
    if (status != CLIENT_DONE)
        return status;
    client_print_list(client, answer, columns, "There are no sockets yet.");
    json_decref(answer);
    return CLIENT_DONE;
}

static enum client_status show(struct client *client, void *values, char **arguments)
{
    const struct id_settings *settings = values;
    return socket_show(client, settings->socket_id, "/admin");
}

static enum client_status delete (struct client *client, void *values, char **arguments) {
    const struct id_settings *settings = values;
    return socket_delete(client, settings->socket_id, "/admin");
}

int admin_socket_ls_main(int argc, char **argv)
{
    static const struct client_command command = {&admin_socket_ls_table, CLIENT_ADMIN, ls, 0};
    return client_main(&command, argc, argv);
}

int admin_socket_show_main(int argc, char **argv)
{
    static const struct client_command command = {&admin_socket_show_table, CLIENT_ADMIN, show, 0};
    return client_main(&command, argc, argv);
}

int admin_socket_delete_main(int argc, char **argv)
{
    static const struct client_command command = {&admin_socket_delete_table, CLIENT_ADMIN, delete,
                                                  0};
    return client_main(&command, argc, argv);
}
