/* `streamplex token ls|create|revoke` */
#include <time.h>

#include "agent/commands.h"
#include "agent/socket_columns.h"
#include "agent/token_settings.h"

/* --- token ls --- */

static const struct setting ls_rows[] = {
    CLIENT_SETTINGS,
    {0},
};

const struct settings_table token_ls_table = {
    .command = "token ls",
    .arguments = "",
    .summary = "Lists the account's device tokens.",
    .settings = ls_rows,
    .size = sizeof(struct client_settings),
};

static enum client_status ls(struct client *client, void *values, char **arguments)
{
    json_t *answer;
    enum client_status status = client_ask(client, "GET", NULL, &answer, "/token");
    if (status != CLIENT_DONE)
        return status;
    client_print_list(client, answer, token_columns,
                      "There are no tokens yet: streamplex token create --name NAME");
    json_decref(answer);
    return CLIENT_DONE;
}

int token_ls_main(int argc, char **argv)
{
    static const struct client_command command = {&token_ls_table, CLIENT_OWNER, ls, 0};
    return client_main(&command, argc, argv);
}

/* --- token create --- */

struct create_settings {
    struct client_settings client;
    struct token_settings token;
};

static const struct setting create_rows[] = {
    CLIENT_SETTINGS,
    TOKEN_SETTINGS(offsetof(struct create_settings, token)),
    {0},
};

const struct settings_table token_create_table = {
    .command = "token create",
    .arguments = "",
    .summary = "Makes a token for a device, good until it expires or is revoked. It is shown once.",
    .settings = create_rows,
    .size = sizeof(struct create_settings),
};

static enum client_status create(struct client *client, void *values, char **arguments)
{
    const struct create_settings *settings = values;
    json_t *body, *answer;
    enum client_status status = token_body(client, &settings->token, (uint64_t)time(NULL), &body);
    if (status == CLIENT_DONE)
        status = client_ask(client, "POST", body, &answer, "/token");
    if (status != CLIENT_DONE)
        return status;
    token_print(client, answer);
    json_decref(answer);
    return CLIENT_DONE;
}

int token_create_main(int argc, char **argv)
{
    static const struct client_command command = {&token_create_table, CLIENT_OWNER, create, 0};
    return client_main(&command, argc, argv);
}

/* --- token revoke --- */

struct revoke_settings {
    struct client_settings client;
    char *token_id;
};

static const struct setting revoke_rows[] = {
    CLIENT_SETTINGS,
    {.name = "token-id",
     .type = SETTING_TEXT,
     .offset = offsetof(struct revoke_settings, token_id),
     .environment = "STREAMPLEX_TOKEN_ID",
     .placeholder = "ID",
     .help = "The token, as `streamplex token ls` has it."},
    {0},
};

const struct settings_table token_revoke_table = {
    .command = "token revoke",
    .arguments = "",
    .summary = "Ends a token: tunnels that live by it are cut within a second.",
    .settings = revoke_rows,
    .size = sizeof(struct revoke_settings),
};

static enum client_status revoke(struct client *client, void *values, char **arguments)
{
    const struct revoke_settings *settings = values;
    enum client_status status = client_need(client, settings->token_id, "token-id");
    if (status != CLIENT_DONE)
        return status;
    return client_delete(client, "/token", settings->token_id, "Token revoked.");
}

int token_revoke_main(int argc, char **argv)
{
    static const struct client_command command = {&token_revoke_table, CLIENT_OWNER, revoke, 0};
    return client_main(&command, argc, argv);
}
