/* `streamplex admin user ls|add|show|set|delete`: a user is named by e-mail or id. */
#include <stdlib.h>
#include <string.h>

#include "agent/commands.h"
#include "agent/password_settings.h"
#include "agent/socket_columns.h"
#include "agent/user_settings.h"

static enum client_status print(struct client *client, enum client_status status, json_t *answer)
{
    if (status != CLIENT_DONE)
        return status;
    client_print_list(
        client, answer, user_columns,
        "There are no users yet: streamplex admin user add --name NAME --email EMAIL");
    json_decref(answer);
    return CLIENT_DONE;
}

/* --- admin user ls --- */

static const struct setting ls_rows[] = {
    CLIENT_ADMIN_SETTINGS,
    {0},
};

const struct settings_table admin_user_ls_table = {
    .command = "admin user ls",
    .arguments = "",
    .summary = "Lists every account.",
    .settings = ls_rows,
    .size = sizeof(struct client_settings),
};

static enum client_status ls(struct client *client, void *values, char **arguments)
{
    json_t *answer = NULL;
    enum client_status status = client_ask(client, "GET", NULL, &answer, "/admin/user");
    return print(client, status, answer);
}

int admin_user_ls_main(int argc, char **argv)
{
    static const struct client_command command = {&admin_user_ls_table, CLIENT_ADMIN, ls, 0};
    return client_main(&command, argc, argv);
}

/* --- admin user add, admin user set --- */

struct add_settings {
    struct client_settings client;
    struct user_settings user;
    struct password_settings password;
};

static const struct setting add_rows[] = {
    CLIENT_ADMIN_SETTINGS,
    USER_SETTINGS(offsetof(struct add_settings, user)),
    PASSWORD_SETTINGS(offsetof(struct add_settings, password)),
    {0},
};

const struct settings_table admin_user_add_table = {
    .command = "admin user add",
    .arguments = "",
    .summary = "Makes an account, confirmed at once.",
    .settings = add_rows,
    .size = sizeof(struct add_settings),
};

/* Into the body. */
static enum client_status add_password(struct client *client,
                                       const struct password_settings *settings, json_t *body)
{
    char password[PROMPT_MAX + 1];
    enum client_status status = password_get(client, settings, true, password);
    if (status != CLIENT_DONE)
        return status;
    int result = client_add_text(body, "password", password);
    explicit_bzero(password, sizeof password);
    return result == 0 ? CLIENT_DONE
                       : client_fail(client, CLIENT_WRONG, "a password has to be UTF-8");
}

static enum client_status add(struct client *client, void *values, char **arguments)
{
    const struct add_settings *settings = values;
    json_t *body = NULL, *answer = NULL;
    enum client_status status = client_need(client, settings->user.name, "name");
    if (status == CLIENT_DONE)
        status = client_need(client, settings->user.email, "email");
    if (status == CLIENT_DONE)
        status = user_body(client, &settings->user, &body);
    if (status == CLIENT_DONE)
        status = add_password(client, &settings->password, body);
    if (status != CLIENT_DONE) {
        json_decref(body);
        return status;
    }
    status = client_ask(client, "POST", body, &answer, "/admin/user");
    return print(client, status, answer);
}

int admin_user_add_main(int argc, char **argv)
{
    static const struct client_command command = {&admin_user_add_table, CLIENT_ADMIN, add, 0};
    return client_main(&command, argc, argv);
}

/* --- One user --- */

struct one_settings {
    struct client_settings client;
    char *id;
    struct user_settings user;
    struct password_settings password;
    bool ask_password;
    int state; /* index into states */
};

static const char *const states[] = {"unchanged", "active", "disabled", NULL};

#define USER_ROW                                                                                   \
    {                                                                                              \
        .name = "user", .type = SETTING_TEXT, .offset = offsetof(struct one_settings, id),         \
        .environment = "STREAMPLEX_USER_ID", .placeholder = "USER",                                \
        .help = "Which user: the e-mail address, or the user_id."                                  \
    }

static const struct setting one_rows[] = {
    CLIENT_ADMIN_SETTINGS,
    USER_ROW,
    {0},
};

static const struct setting set_rows[] = {
    CLIENT_ADMIN_SETTINGS,
    USER_ROW,
    USER_SETTINGS(offsetof(struct one_settings, user)),
    PASSWORD_SETTINGS(offsetof(struct one_settings, password)),
    {.name = "ask-password",
     .type = SETTING_FLAG,
     .offset = offsetof(struct one_settings, ask_password),
     .help = "Asks for a new password on the terminal. A new password ends every login of the "
             "user."},
    {.name = "state",
     .type = SETTING_CHOICE,
     .offset = offsetof(struct one_settings, state),
     .fallback = "unchanged",
     .environment = "STREAMPLEX_USER_STATE",
     .placeholder = "STATE",
     .help = "A disabled user can't log in, and loses all tunnels; active undoes it, and confirms "
             "an account that waits for it.",
     .choices = states},
    {0},
};

const struct settings_table admin_user_show_table = {
    .command = "admin user show",
    .arguments = "",
    .summary = "Shows one account.",
    .settings = one_rows,
    .size = sizeof(struct one_settings),
};

const struct settings_table admin_user_set_table = {
    .command = "admin user set",
    .arguments = "",
    .summary = "Changes an account; what isn't given stays.",
    .settings = set_rows,
    .size = sizeof(struct one_settings),
};

const struct settings_table admin_user_delete_table = {
    .command = "admin user delete",
    .arguments = "",
    .summary = "Deletes an account, with its sockets and tokens.",
    .settings = one_rows,
    .size = sizeof(struct one_settings),
};

static enum client_status find(const struct client *client, const struct one_settings *settings,
                               char **ret_segment)
{
    enum client_status status = client_need(client, settings->id, "user");
    if (status != CLIENT_DONE)
        return status;
    *ret_segment = client_segment(settings->id);
    return *ret_segment ? CLIENT_DONE : client_fail(client, CLIENT_WRONG, "that is no user");
}

static enum client_status show(struct client *client, void *values, char **arguments)
{
    json_t *answer = NULL;
    char *segment = NULL;
    enum client_status status = find(client, values, &segment);
    if (status == CLIENT_DONE)
        status = client_ask(client, "GET", NULL, &answer, "/admin/user/%s", segment);
    free(segment);
    return print(client, status, answer);
}

static enum client_status set_body(struct client *client, const struct one_settings *settings,
                                   json_t **ret_body)
{
    enum client_status status = user_body(client, &settings->user, ret_body);
    if (status == CLIENT_DONE &&
        (settings->ask_password || settings->password.from_stdin || settings->password.password))
        status = add_password(client, &settings->password, *ret_body);
    if (status == CLIENT_DONE && settings->state &&
        client_add_text(*ret_body, "state", states[settings->state]) < 0)
        status = client_fail(client, CLIENT_WRONG, "out of memory");
    if (status == CLIENT_DONE && json_object_size(*ret_body) == 0)
        status = client_fail(client, CLIENT_WRONG, "there is nothing to change");
    return status;
}

static enum client_status set(struct client *client, void *values, char **arguments)
{
    json_t *body = NULL, *answer = NULL;
    char *segment = NULL;
    enum client_status status = find(client, values, &segment);
    if (status == CLIENT_DONE)
        status = set_body(client, values, &body);
    if (status == CLIENT_DONE)
        status = client_ask(client, "PUT", body, &answer, "/admin/user/%s", segment);
    else
        json_decref(body);
    free(segment);
    return print(client, status, answer);
}

static enum client_status delete (struct client *client, void *values, char **arguments) {
    const struct one_settings *settings = values;
    enum client_status status = client_need(client, settings->id, "user");
    if (status != CLIENT_DONE) return status;
    return client_delete(client, "/admin/user", settings->id, "User deleted.");
}

int admin_user_show_main(int argc, char **argv)
{
    static const struct client_command command = {&admin_user_show_table, CLIENT_ADMIN, show, 0};
    return client_main(&command, argc, argv);
}

int admin_user_set_main(int argc, char **argv)
{
    static const struct client_command command = {&admin_user_set_table, CLIENT_ADMIN, set, 0};
    return client_main(&command, argc, argv);
}

int admin_user_delete_main(int argc, char **argv)
{
    static const struct client_command command = {&admin_user_delete_table, CLIENT_ADMIN, delete,
                                                  0};
    return client_main(&command, argc, argv);
}
