#include "agent/token_settings.h"

#include <string.h>

const struct client_column token_columns[] = {
    {"token_id", "token_id", CLIENT_TEXT},
    {"name", "name", CLIENT_TEXT},
    {"sockets", "sockets", CLIENT_TEXT},
    {"created", "created", CLIENT_TIME},
    {"expires", "expires", CLIENT_TIME},
    {"last used", "last_used", CLIENT_TIME},
    {0},
};

/* "-" alone: a list of none, which the API tells from no list. */
static int add_sockets(json_t *body, const struct setting_list *sockets)
{
    if (sockets->count == 1 && strcmp(sockets->items[0], "-") == 0)
        return body ? json_object_set_new(body, "sockets", json_array()) : -1;
    return client_add_list(body, "sockets", sockets);
}

enum client_status token_body(const struct client *client, const struct token_settings *settings,
                              uint64_t now, json_t **ret_body)
{
    enum client_status status = client_need(client, settings->name, "name");
    if (status != CLIENT_DONE)
        return status;
    json_t *body = json_object();
    uint64_t expires = settings->lifetime ? now + settings->lifetime / 1000000 : 0;
    if (client_add_text(body, "name", settings->name) < 0 ||
        client_add_number(body, "expires", expires) < 0 ||
        client_add_list(body, "egress_allow", &settings->egress_allow) < 0 ||
        client_add_list(body, "egress_deny", &settings->egress_deny) < 0 ||
        add_sockets(body, &settings->sockets) < 0 ||
        client_add_number(body, "max_tunnels", settings->max_tunnels) < 0 ||
        client_add_number(body, "max_substreams", settings->max_substreams) < 0 ||
        client_add_number(body, "bytes_per_second", settings->bytes_per_second) < 0 ||
        client_add_number(body, "bytes_per_month", settings->bytes_per_month) < 0) {
        json_decref(body);
        return client_fail(client, CLIENT_WRONG, "what describes a token has to be UTF-8");
    }
    *ret_body = body;
    return CLIENT_DONE;
}

void token_print(const struct client *client, const json_t *answer)
{
    client_print_list(client, answer, token_columns, "");
    if (client->settings->json)
        return;
    client_print_done(client, answer, "Keep it, it isn't shown again: %s",
                      client_text(answer, "token"));
}
