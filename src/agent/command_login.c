/* `streamplex login`, `streamplex logout` */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "agent/commands.h"
#include "agent/password_settings.h"

/* --- login --- */

struct login_settings {
    struct client_settings client;
    char *email;
    struct password_settings password;
};

static const struct setting login_rows[] = {
    CLIENT_SETTINGS,
    {.name = "email",
     .type = SETTING_TEXT,
     .offset = offsetof(struct login_settings, email),
     .environment = "STREAMPLEX_EMAIL",
     .placeholder = "EMAIL",
     .help = "The account's e-mail address."},
    PASSWORD_SETTINGS(offsetof(struct login_settings, password)),
    {0},
};

const struct settings_table login_table = {
    .command = "login",
    .arguments = "",
    .summary = "Logs in: later commands need neither a password nor --api. The login is kept in "
               "$XDG_CONFIG_HOME/streamplex/token, which nobody else can read, and ends after "
               "some hours. Exit status of this and of every command that asks the API: 0, 1 "
               "(wrong use, or refused by the server), 2 (server not reached), 3 (not logged in).",
    .settings = login_rows,
    .size = sizeof(struct login_settings),
};

/* The token of this login in the store, for the API that gave it. */
static enum client_status keep(struct client *client, const char *token)
{
    char folder[PATH_MAX], error[512];
    struct login login = {.token = (char *)token, .api = client->login.api};
    char *ca = client->login.ca ? realpath(client->login.ca, NULL) : NULL;
    if (client->login.ca && !ca)
        return client_fail(client, CLIENT_WRONG, "%s: no such file", client->login.ca);
    login.ca = ca;
    int result = login_store_folder(folder, sizeof folder, error, sizeof error);
    if (result == 0)
        result = login_store_write(folder, &login, error, sizeof error);
    if (result == 0) {
        json_t *answer = json_pack("{s:s, s:s+}", "api", login.api, "token_file", folder, "/token");
        client_print_done(client, answer, "Logged in! Token stored in %s/token", folder);
        json_decref(answer);
    }
    free(ca);
    return result == 0 ? CLIENT_DONE : client_fail(client, CLIENT_WRONG, "%s", error);
}

static enum client_status log_in(struct client *client, void *values, char **arguments)
{
    const struct login_settings *settings = values;
    char password[PROMPT_MAX + 1];
    json_t *answer;
    enum client_status status = client_need(client, settings->email, "email");
    if (status == CLIENT_DONE)
        status = password_get(client, &settings->password, false, password);
    if (status != CLIENT_DONE)
        return status;
    json_t *body = json_pack("{s:s, s:s}", "email", settings->email, "password", password);
    explicit_bzero(password, sizeof password);
    if (!body)
        return client_fail(client, CLIENT_WRONG, "e-mail and password have to be UTF-8");
    status = client_ask(client, "POST", body, &answer, "/login");
    if (status != CLIENT_DONE)
        return status;
    const char *token = client_text(answer, "token");
    if (*token)
        status = keep(client, token);
    else
        status = client_fail(client, CLIENT_WRONG, "the server gave no token: is it an API?");
    json_decref(answer);
    return status;
}

int login_main(int argc, char **argv)
{
    static const struct client_command command = {&login_table, CLIENT_OPEN, log_in, 0};
    return client_main(&command, argc, argv);
}

/* --- logout --- */

struct logout_settings {
    struct client_settings client;
    bool all;
};

static const struct setting logout_rows[] = {
    CLIENT_SETTINGS,
    {.name = "all",
     .type = SETTING_FLAG,
     .offset = offsetof(struct logout_settings, all),
     .help = "Ends every login of the account, on whatever machine."},
    {0},
};

const struct settings_table logout_table = {
    .command = "logout",
    .arguments = "",
    .summary = "Ends the login: the server takes it no more, and it is removed here.",
    .settings = logout_rows,
    .size = sizeof(struct logout_settings),
};

/* Here it ends in any case; a server that doesn't know the login any more is as good. */
static enum client_status log_out(struct client *client, void *values, char **arguments)
{
    const struct logout_settings *settings = values;
    char folder[PATH_MAX], error[512];
    json_t *body = json_pack("{s:b}", "all", settings->all);
    enum client_status status =
        body ? client_ask(client, "POST", body, NULL, "/logout") : CLIENT_WRONG;
    if (login_store_folder(folder, sizeof folder, error, sizeof error) < 0 ||
        login_store_remove(folder, error, sizeof error) < 0)
        return client_fail(client, CLIENT_WRONG, "%s", error);
    if (status == CLIENT_DONE)
        client_print_done(client, NULL, settings->all ? "Logged out everywhere." : "Logged out.");
    else
        client_fail(client, status, "the login was removed here%s",
                    status == CLIENT_LOGIN ? "" : ", but the server may still take it");
    return status;
}

int logout_main(int argc, char **argv)
{
    static const struct client_command command = {&logout_table, CLIENT_OWNER, log_out, 0};
    return client_main(&command, argc, argv);
}
