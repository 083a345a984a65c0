#include "agent/access_settings.h"

#include <stdlib.h>
#include <string.h>

#include "agent/prompt.h"

#define CLIENT_CA_MAX 32768 /* what the API takes */

bool access_settings_any(const struct access_settings *settings)
{
    return settings->description || settings->is_protected || settings->username ||
           settings->password || settings->allow.count || settings->deny.count ||
           settings->client_ca || settings->rate || settings->visitor_rate ||
           settings->max_connections;
}

static enum client_status add_password(const struct client *client,
                                       const struct access_settings *settings, json_t *body)
{
    char password[PROMPT_MAX + 1], error[256];
    int result;
    if (settings->password) {
        result = client_add_text(body, "protected_password", settings->password);
    } else {
        if (prompt_password("Password for visitors: ", password, error, sizeof error) < 0)
            return client_fail(client, CLIENT_WRONG, "--password is missing, and %s", error);
        result = client_add_text(body, "protected_password", password);
        explicit_bzero(password, sizeof password);
    }
    if (result < 0)
        return client_fail(client, CLIENT_WRONG, "a password has to be UTF-8");
    return CLIENT_DONE;
}

static enum client_status add_protection(const struct client *client,
                                         const struct access_settings *settings, json_t *body)
{
    if (!settings->is_protected && (settings->username || settings->password))
        return client_fail(client, CLIENT_WRONG, "--username and --password go with --protected");
    if (!settings->is_protected)
        return CLIENT_DONE;
    if (!settings->username)
        return client_fail(client, CLIENT_WRONG, "--protected needs --username, and --password");
    if (json_object_set_new(body, "protected_socket", json_true()) < 0 ||
        client_add_text(body, "protected_username", settings->username) < 0)
        return client_fail(client, CLIENT_WRONG, "--username has to be UTF-8");
    return add_password(client, settings, body);
}

static enum client_status add_client_ca(const struct client *client, const char *path, json_t *body)
{
    char *text;
    size_t length;
    if (!path)
        return CLIENT_DONE;
    int result = settings_read_text(path, CLIENT_CA_MAX, &text, &length);
    if (result < 0)
        return client_fail(client, CLIENT_WRONG, "%s: %s", path, strerror(-result));
    result = json_object_set_new(body, "client_ca", json_stringn(text, length));
    free(text);
    if (result < 0)
        return client_fail(client, CLIENT_WRONG, "%s: that isn't PEM", path);
    return CLIENT_DONE;
}

enum client_status access_settings_body(const struct client *client,
                                        const struct access_settings *settings, json_t *body)
{
    enum client_status status = add_protection(client, settings, body);
    if (status == CLIENT_DONE)
        status = add_client_ca(client, settings->client_ca, body);
    if (status != CLIENT_DONE)
        return status;
    if (client_add_text(body, "description", settings->description) < 0 ||
        client_add_list(body, "allow", &settings->allow) < 0 ||
        client_add_list(body, "deny", &settings->deny) < 0 ||
        client_add_number(body, "rate", settings->rate) < 0 ||
        client_add_number(body, "visitor_rate", settings->visitor_rate) < 0 ||
        client_add_number(body, "max_connections", settings->max_connections) < 0)
        return client_fail(client, CLIENT_WRONG, "what describes a socket has to be UTF-8");
    return CLIENT_DONE;
}
