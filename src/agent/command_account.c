/* `streamplex account create|show` */
#include <string.h>

#include "agent/commands.h"
#include "agent/login_claims.h"
#include "agent/password_settings.h"
#include "agent/user_settings.h"

/* --- account create --- */

struct account_settings {
    struct client_settings client;
    struct user_settings user;
    struct password_settings password;
};

static const struct setting create_settings[] = {
    CLIENT_SETTINGS,
    USER_SETTINGS(offsetof(struct account_settings, user)),
    PASSWORD_SETTINGS(offsetof(struct account_settings, password)),
    {0},
};

const struct settings_table account_create_table = {
    .command = "account create",
    .arguments = "",
    .summary = "Makes an account, where the server lets everybody do so: some ask for a "
               "confirmation by mail, and others leave it to their operator.",
    .settings = create_settings,
    .size = sizeof(struct account_settings),
};

static enum client_status create(struct client *client, void *values, char **arguments)
{
    const struct account_settings *settings = values;
    char password[PROMPT_MAX + 1];
    json_t *body, *answer;
    enum client_status status = client_need(client, settings->user.name, "name");
    if (status == CLIENT_DONE)
        status = client_need(client, settings->user.email, "email");
    if (status == CLIENT_DONE)
        status = user_body(client, &settings->user, &body);
    if (status != CLIENT_DONE)
        return status;
    status = password_get(client, &settings->password, true, password);
    if (status != CLIENT_DONE) {
        json_decref(body);
        return status;
    }
    int added = client_add_text(body, "password", password);
    explicit_bzero(password, sizeof password);
    if (added < 0) {
        json_decref(body);
        return client_fail(client, CLIENT_WRONG, "out of memory");
    }
    status = client_ask(client, "POST", body, &answer, "/user");
    if (status != CLIENT_DONE)
        return status;
    if (strcmp(client_text(answer, "state"), "active") == 0)
        client_print_done(client, answer,
                          "Account created! Now log in: streamplex login --email %s",
                          settings->user.email);
    else
        client_print_done(client, answer, "%s",
                          *client_text(answer, "message")
                              ? client_text(answer, "message")
                              : "Almost there: open the link that was sent to you.");
    json_decref(answer);
    return CLIENT_DONE;
}

int account_create_main(int argc, char **argv)
{
    static const struct client_command command = {&account_create_table, CLIENT_OPEN, create, 0};
    return client_main(&command, argc, argv);
}

/* --- account show --- */

static const struct setting show_settings[] = {
    CLIENT_SETTINGS,
    {0},
};

const struct settings_table account_show_table = {
    .command = "account show",
    .arguments = "",
    .summary = "Shows the account that is logged in.",
    .settings = show_settings,
    .size = sizeof(struct client_settings),
};

static enum client_status show(struct client *client, void *values, char **arguments)
{
    static const struct client_column columns[] = {
        {"user_id", "user_id", CLIENT_TEXT},
        {"user_name", "user_name", CLIENT_TEXT},
        {"name", "name", CLIENT_TEXT},
        {"email", "email", CLIENT_TEXT},
        {"sshkey", "sshkey", CLIENT_TEXT},
        {"created", "created", CLIENT_TIME},
        {"used this month", "used_bytes", CLIENT_BYTES},
        {"quota", "quota_bytes", CLIENT_LIMIT},
        {0},
    };
    struct login_claims claims;
    json_t *answer;
    if (login_claims_read(client->login.token, strlen(client->login.token), &claims) < 0)
        return client_fail(client, CLIENT_LOGIN,
                           "the login isn't one of this server's: streamplex login");
    enum client_status status =
        client_ask(client, "GET", NULL, &answer, "/user/%s", claims.user_id);
    if (status != CLIENT_DONE)
        return status;
    client_print_object(client, answer, columns);
    json_decref(answer);
    return CLIENT_DONE;
}

int account_show_main(int argc, char **argv)
{
    static const struct client_command command = {&account_show_table, CLIENT_OWNER, show, 0};
    return client_main(&command, argc, argv);
}
