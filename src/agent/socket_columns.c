#include "agent/socket_columns.h"

#include <stdlib.h>

const struct client_column socket_list_columns[] = {
    {"socket_id", "socket_id", CLIENT_TEXT}, {"dns_name", "dnsname", CLIENT_TEXT},
    {"type", "socket_type", CLIENT_TEXT},    {"port(s)", "socket_tcp_ports", CLIENT_TEXT},
    {"name", "name", CLIENT_TEXT},           {"protected", "protected_socket", CLIENT_TEXT},
    {"online", "online", CLIENT_TEXT},       {0},
};

const struct client_column tunnel_list_columns[] = {
    {"tunnel_id", "tunnel_id", CLIENT_TEXT},
    {"tunnel_server", "tunnel_server", CLIENT_TEXT},
    {"local_port", "local_port", CLIENT_TEXT},
    {"created", "created", CLIENT_TIME},
    {0},
};

static const struct client_column one_columns[] = {
    {"socket_id", "socket_id", CLIENT_TEXT},
    {"dns_name", "dnsname", CLIENT_TEXT},
    {"url", "url", CLIENT_TEXT},
    {"type", "socket_type", CLIENT_TEXT},
    {"port(s)", "socket_tcp_ports", CLIENT_TEXT},
    {"name", "name", CLIENT_TEXT},
    {"description", "description", CLIENT_TEXT},
    {"user_name", "user_name", CLIENT_TEXT},
    {"created", "created", CLIENT_TIME},
    {"online", "online", CLIENT_TEXT},
    {"https_only", "https_only", CLIENT_TEXT},
    {"host_header", "host_header", CLIENT_TEXT},
    {"protected", "protected_socket", CLIENT_TEXT},
    {"protected_username", "protected_username", CLIENT_TEXT},
    {"allow", "allow", CLIENT_TEXT},
    {"deny", "deny", CLIENT_TEXT},
    {"client_ca", "client_ca", CLIENT_TEXT},
    {"rate", "rate", CLIENT_COUNT},
    {"visitor_rate", "visitor_rate", CLIENT_COUNT},
    {"max_connections", "max_connections", CLIENT_COUNT},
    {0},
};

static enum client_status find_segment(const struct client *client, const char *id,
                                       const char *name, char **ret_segment)
{
    enum client_status status = client_need(client, id, name);
    if (status != CLIENT_DONE)
        return status;
    *ret_segment = client_segment(id);
    if (*ret_segment)
        return CLIENT_DONE;
    return client_fail(client, CLIENT_WRONG, "\"%s\" is no id", id);
}

enum client_status socket_show(struct client *client, const char *socket_id, const char *prefix)
{
    char *segment;
    json_t *answer;
    enum client_status status = find_segment(client, socket_id, "socket-id", &segment);
    if (status != CLIENT_DONE)
        return status;
    status = client_ask(client, "GET", NULL, &answer, "%s/socket/%s", prefix, segment);
    free(segment);
    if (status != CLIENT_DONE)
        return status;
    client_print_object(client, answer, one_columns);
    if (!client->settings->json)
        client_print_list(client, json_object_get(answer, "tunnels"), tunnel_list_columns,
                          "It has no tunnels yet: streamplex tunnel create");
    json_decref(answer);
    return CLIENT_DONE;
}

enum client_status client_delete(struct client *client, const char *prefix, const char *id,
                                 const char *what)
{
    char *segment = client_segment(id);
    if (!segment)
        return client_fail(client, CLIENT_WRONG, "\"%s\" is no id", id);
    enum client_status status = client_ask(client, "DELETE", NULL, NULL, "%s/%s", prefix, segment);
    free(segment);
    if (status == CLIENT_DONE)
        client_print_done(client, NULL, "%s", what);
    return status;
}

enum client_status socket_delete(struct client *client, const char *socket_id, const char *prefix)
{
    char path[32];
    enum client_status status = client_need(client, socket_id, "socket-id");
    if (status != CLIENT_DONE)
        return status;
    snprintf(path, sizeof path, "%s/socket", prefix);
    return client_delete(client, path, socket_id, "Socket deleted.");
}
