#include "agent/connect_login.h"

#include <stdlib.h>
#include <string.h>

#include "base/text_table.h"

#define SERVER_PORT 5005

/* --- Reach --- */

int connect_login_reach(struct reach *reach, const struct reach_settings *settings,
                        const struct login *login, const char *tunnel_server, char *error,
                        size_t error_size)
{
    if (settings->server) {
        if (reach_find_server(settings, error, error_size, &reach->server) < 0)
            return -1;
    } else if (endpoint_parse(tunnel_server, SERVER_PORT, &reach->server) < 0) {
        snprintf(error, error_size, "the API doesn't tell where tunnels go: give --server");
        return -1;
    }
    if (reach_find_pin(settings, error, error_size, &reach->pin_sha256) < 0)
        return -1;
    reach->ca_file = settings->ca ? settings->ca : settings->ca_pem ? NULL : login->ca;
    reach->ca_pem = settings->ca ? NULL : settings->ca_pem;
    reach->token = strdup(login->token);
    if (reach->token)
        return 0;
    snprintf(error, error_size, "out of memory");
    return -1;
}

/* --- Services and sockets --- */

static int copy_given(char **field, const char *text)
{
    if (*field || !*text)
        return 0;
    *field = strdup(text);
    return *field ? 0 : -1;
}

int connect_login_adopt(struct service *service, const json_t *object, char *error,
                        size_t error_size)
{
    struct service_settings *settings = &service->settings;
    const char *type = client_text(object, "socket_type"), *name = client_text(object, "name");
    if (strcmp(type, service_types[settings->type]) != 0) {
        snprintf(error, error_size, "the socket \"%s\" is of type %s: give --type %s", name, type,
                 type);
        return -1;
    }
    if (!*name || service_check_name(name, error, error_size) < 0) {
        snprintf(error, error_size, "the socket has no name to serve it by");
        return -1;
    }
    snprintf(service->name, sizeof service->name, "%s", name);
    settings->https_only |= json_is_true(json_object_get(object, "https_only"));
    if (copy_given(&settings->host_header, client_text(object, "host_header")) == 0)
        return 0;
    snprintf(error, error_size, "out of memory");
    return -1;
}

/* What describes the socket of a service, beside who may visit it. NULL: no memory. */
static json_t *make_body(const struct service *service, const json_t *access)
{
    const struct service_settings *settings = &service->settings;
    json_t *body = json_object();
    if (client_add_text(body, "name", service->name) == 0 &&
        client_add_text(body, "socket_type", service_types[settings->type]) == 0 &&
        client_add_text(body, "hostname", settings->hostname) == 0 &&
        client_add_text(body, "host_header", settings->host_header) == 0 &&
        (!settings->https_only || json_object_set_new(body, "https_only", json_true()) == 0) &&
        json_object_update(body, (json_t *)access) == 0)
        return body;
    json_decref(body);
    return NULL;
}

static const json_t *find_by_name(const json_t *sockets, const char *name)
{
    for (size_t i = 0; i < json_array_size(sockets); i++) {
        const json_t *object = json_array_get(sockets, i);
        if (strcmp(client_text(object, "name"), name) == 0)
            return object;
    }
    return NULL;
}

/* Remembers what is to be taken back. */
static enum client_status remember(struct connect_login *login, const char *socket_id,
                                   const char *tunnel_id, bool is_new)
{
    struct connect_login_socket *one = &login->sockets[login->count++];
    *one =
        (struct connect_login_socket){client_segment(socket_id), client_segment(tunnel_id), is_new};
    if (one->socket_id && one->tunnel_id)
        return CLIENT_DONE;
    return client_fail(&login->client, CLIENT_WRONG, "the API answered without an id");
}

/* A socket that is there stays, as `socket create` means it; it gets one more tunnel. */
static enum client_status use(struct connect_login *login, const json_t *found,
                              const json_t *access, json_t **ret_object)
{
    json_t *object = json_deep_copy(found), *tunnel = NULL;
    char *segment = client_segment(client_text(found, "socket_id"));
    enum client_status status = CLIENT_DONE;
    if (!object || !segment)
        status = client_fail(&login->client, CLIENT_WRONG, "the API answered without an id");
    if (status == CLIENT_DONE && json_object_size(access))
        status =
            client_ask(&login->client, "PUT", json_deep_copy(access), NULL, "/socket/%s", segment);
    if (status == CLIENT_DONE)
        status = client_ask(&login->client, "POST", json_object(), &tunnel, "/socket/%s/tunnel",
                            segment);
    free(segment);
    if (status == CLIENT_DONE)
        status = remember(login, client_text(found, "socket_id"), client_text(tunnel, "tunnel_id"),
                          false);
    if (status == CLIENT_DONE &&
        json_object_set_new(object, "tunnels", json_pack("[O]", tunnel)) < 0)
        status = client_fail(&login->client, CLIENT_WRONG, "out of memory");
    json_decref(tunnel);
    *ret_object = object;
    return status;
}

static enum client_status create(struct connect_login *login, const struct service *service,
                                 const json_t *access, json_t **ret_object)
{
    json_t *body = make_body(service, access);
    if (!body)
        return client_fail(&login->client, CLIENT_WRONG, "out of memory");
    enum client_status status = client_ask(&login->client, "POST", body, ret_object, "/connect");
    if (status != CLIENT_DONE)
        return status;
    const json_t *tunnel = json_array_get(json_object_get(*ret_object, "tunnels"), 0);
    return remember(login, client_text(*ret_object, "socket_id"), client_text(tunnel, "tunnel_id"),
                    true);
}

static enum client_status add(struct connect_login *login, struct service *service,
                              const json_t *sockets, const json_t *access, json_t *objects)
{
    json_t *object = NULL;
    char error[256];
    const json_t *found = find_by_name(sockets, service->name);
    enum client_status status = CLIENT_DONE;
    if (found && connect_login_adopt(service, found, error, sizeof error) < 0)
        return client_fail(&login->client, CLIENT_WRONG, "%s", error);
    status = found ? use(login, found, access, &object) : create(login, service, access, &object);
    if (status == CLIENT_DONE && json_array_append(objects, object) < 0)
        status = client_fail(&login->client, CLIENT_WRONG, "out of memory");
    json_decref(object);
    return status;
}

static enum client_status add_all(struct connect_login *login, struct connect_request *request,
                                  const json_t *access, json_t *objects)
{
    json_t *sockets = NULL;
    enum client_status status = client_ask(&login->client, "GET", NULL, &sockets, "/socket");
    for (size_t i = 0; i < request->services.count && status == CLIENT_DONE; i++)
        status = add(login, &request->services.items[i], sockets, access, objects);
    json_decref(sockets);
    return status;
}

/* --- What is printed --- */

static void print(const struct connect_login *login, const json_t *objects)
{
    static const struct client_column columns[] = {
        {"socket_id", "socket_id", CLIENT_TEXT},
        {"dns_name", "dnsname", CLIENT_TEXT},
        {"name", "name", CLIENT_TEXT},
        {0},
    };
    if (!login->settings.json) {
        client_print_list(&login->client, objects, columns, "");
    } else {
        for (size_t i = 0; i < json_array_size(objects); i++) {
            json_t *line = json_pack("{s:O}", "socket", json_array_get(objects, i));
            if (line && json_dumpf(line, stdout, JSON_COMPACT | JSON_ENSURE_ASCII) == 0)
                fputc('\n', stdout);
            json_decref(line);
        }
    }
    fflush(stdout); /* what follows is written past stdio */
}

/* --- All of it --- */

static enum client_status begin(struct connect_login *login, struct connect_request *request,
                                json_t *access, json_t *objects)
{
    char error[512];
    enum client_status status =
        access_settings_body(&login->client, &request->settings.access, access);
    if (status == CLIENT_DONE)
        status = add_all(login, request, access, objects);
    if (status != CLIENT_DONE)
        return status;
    const json_t *tunnel =
        json_array_get(json_object_get(json_array_get(objects, 0), "tunnels"), 0);
    if (connect_login_reach(&request->reach, &request->settings.reach, &login->client.login,
                            client_text(tunnel, "tunnel_server"), error, sizeof error) < 0)
        return client_fail(&login->client, CLIENT_WRONG, "%s", error);
    print(login, objects);
    return CLIENT_DONE;
}

enum client_status connect_login_begin(struct connect_login *login, struct connect_request *request)
{
    *login = (struct connect_login){
        .client = {.command = "connect"},
        .settings = {.json = request->settings.json,
                     .api = request->settings.api,
                     .ca = request->settings.reach.ca},
    };
    login->client.settings = &login->settings;
    enum client_status status = client_open_api(&login->client, CLIENT_OWNER);
    if (status == CLIENT_LOGIN && !login->client.api)
        client_fail(&login->client, status,
                    "without an account: give --token-file or --token, or set PROXY_TOKEN");
    if (status != CLIENT_DONE)
        return status;
    json_t *access = json_object(), *objects = json_array();
    login->sockets = calloc(request->services.count, sizeof *login->sockets);
    status = access && objects && login->sockets
                 ? begin(login, request, access, objects)
                 : client_fail(&login->client, CLIENT_WRONG, "out of memory");
    json_decref(access);
    json_decref(objects);
    return status;
}

/* The login's newest token takes the first one's place. */
static void renew(struct client *client, const char *token)
{
    char error[256];
    const struct api_client_options options = {
        .url = client->login.api, .ca = client->login.ca, .login = token};
    struct api_client *api;
    if (api_client_new(&options, &api, error, sizeof error) < 0)
        return;
    api_client_free(client->api);
    client->api = api;
}

static void take_back(struct connect_login *login, const struct connect_login_socket *one)
{
    if (!one->socket_id)
        return;
    if (one->is_new)
        (void)!client_ask(&login->client, "DELETE", NULL, NULL, "/socket/%s", one->socket_id);
    else if (one->tunnel_id)
        (void)!client_ask(&login->client, "DELETE", NULL, NULL, "/socket/%s/tunnel/%s",
                          one->socket_id, one->tunnel_id);
}

void connect_login_end(struct connect_login *login, const char *token)
{
    if (login->count && token)
        renew(&login->client, token);
    for (size_t i = 0; i < login->count; i++) {
        take_back(login, &login->sockets[i]);
        free(login->sockets[i].socket_id);
        free(login->sockets[i].tunnel_id);
    }
    free(login->sockets);
    login->sockets = NULL;
    login->count = 0;
    client_close(&login->client);
}
