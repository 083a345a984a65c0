/* `streamplex admin token ls|create|revoke` */
#include <time.h>

#include "agent/commands.h"
#include "agent/socket_columns.h"
#include "agent/token_settings.h"

/* --- admin token ls --- */

static const struct setting ls_rows[] = {
    CLIENT_ADMIN_SETTINGS,
    {0},
};

const struct settings_table admin_token_ls_table = {
    .command = "admin token ls",
    .arguments = "",
    .summary = "Lists every account's device tokens.",
    .settings = ls_rows,
    .size = sizeof(struct client_settings),
};

static enum client_status ls(struct client *client, void *values, char **arguments)
{
    static const struct client_column columns[] = {
        {"token_id", "token_id", CLIENT_TEXT},   {"user", "email", CLIENT_TEXT},
        {"name", "name", CLIENT_TEXT},           {"sockets", "sockets", CLIENT_TEXT},
        {"created", "created", CLIENT_TIME},     {"expires", "expires", CLIENT_TIME},
        {"last used", "last_used", CLIENT_TIME}, {0},
    };
    json_t *answer;
    enum client_status status = client_ask(client, "GET", NULL, &answer, "/admin/token");
    if (status != CLIENT_DONE)
        return status;
    client_print_list(client, answer, columns, "There are no tokens yet.");
    json_decref(answer);
    return CLIENT_DONE;
}

int admin_token_ls_main(int argc, char **argv)
{
    static const struct client_command command = {&admin_token_ls_table, CLIENT_ADMIN, ls, 0};
    return client_main(&command, argc, argv);
}

/* --- admin token create --- */

struct create_settings {
    struct client_settings client;
    char *user;
    struct token_settings token;
};

static const struct setting create_rows[] = {
    CLIENT_ADMIN_SETTINGS,
    {.name = "user",
     .type = SETTING_TEXT,
     .offset = offsetof(struct create_settings, user),
     .environment = "STREAMPLEX_USER_ID",
     .placeholder = "USER",
     .help = "Whose token it is: the e-mail address, or the user_id."},
    TOKEN_SETTINGS(offsetof(struct create_settings, token)),
    {0},
};

const struct settings_table admin_token_create_table = {
    .command = "admin token create",
    .arguments = "",
    .summary = "Makes a device token for a user. It is shown once.",
    .settings = create_rows,
    .size = sizeof(struct create_settings),
};

static enum client_status create(struct client *client, void *values, char **arguments)
{
    const struct create_settings *settings = values;
    json_t *body, *answer;
    enum client_status status = client_need(client, settings->user, "user");
    if (status == CLIENT_DONE)
        status = token_body(client, &settings->token, (uint64_t)time(NULL), &body);
    if (status != CLIENT_DONE)
        return status;
    if (client_add_text(body, "user_id", settings->user) < 0) {
        json_decref(body);
        return client_fail(client, CLIENT_WRONG, "--user has to be UTF-8");
    }
    status = client_ask(client, "POST", body, &answer, "/admin/token");
    if (status != CLIENT_DONE)
        return status;
    token_print(client, answer);
    json_decref(answer);
    return CLIENT_DONE;
}

int admin_token_create_main(int argc, char **argv)
{
    static const struct client_command command = {&admin_token_create_table, CLIENT_ADMIN, create,
                                                  0};
    return client_main(&command, argc, argv);
}

/* --- admin token revoke --- */

struct revoke_settings {
    struct client_settings client;
    char *token_id;
};

static const struct setting revoke_rows[] = {
    CLIENT_ADMIN_SETTINGS,
    {.name = "token-id",
     .type = SETTING_TEXT,
     .offset = offsetof(struct revoke_settings, token_id),
     .environment = "STREAMPLEX_TOKEN_ID",
     .placeholder = "ID",
     .help = "The token, as `streamplex admin token ls` has it."},
    {0},
};

const struct settings_table admin_token_revoke_table = {
    .command = "admin token revoke",
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
    return client_delete(client, "/admin/token", settings->token_id, "Token revoked.");
}

int admin_token_revoke_main(int argc, char **argv)
{
    static const struct client_command command = {&admin_token_revoke_table, CLIENT_ADMIN, revoke,
                                                  0};
    return client_main(&command, argc, argv);
}
