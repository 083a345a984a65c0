/* `streamplex admin tunnel ls|close`, `admin quota ls|set`, `admin backup` */
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/commands.h"
#include "agent/socket_columns.h"

static const struct setting bare_rows[] = {
    CLIENT_ADMIN_SETTINGS,
    {0},
};

/* --- admin tunnel ls, admin tunnel close --- */

struct close_settings {
    struct client_settings client;
    char *tunnel_id;
};

const struct settings_table admin_tunnel_ls_table = {
    .command = "admin tunnel ls",
    .arguments = "",
    .summary = "Lists the tunnels that are up now.",
    .settings = bare_rows,
    .size = sizeof(struct client_settings),
};

const struct settings_table admin_tunnel_close_table = {
    .command = "admin tunnel close",
    .arguments = "ID",
    .summary = "Closes a tunnel, whosever it is; its device may come back. The ID is that of "
               "`streamplex admin tunnel ls`.",
    .settings = bare_rows,
    .size = sizeof(struct client_settings),
};

static enum client_status ls(struct client *client, void *values, char **arguments)
{
    static const struct client_column columns[] = {
        {"tunnel_id", "tunnel_id", CLIENT_TEXT},
        {"user", "user_name", CLIENT_TEXT},
        {"address", "address", CLIENT_TEXT},
        {"since", "since", CLIENT_TIME},
        {"RTT", "rtt", CLIENT_RTT},
        {"substreams", "substreams", CLIENT_TEXT},
        {"in", "bytes_in", CLIENT_BYTES},
        {"out", "bytes_out", CLIENT_BYTES},
        {0},
    };
    json_t *answer;
    enum client_status status = client_ask(client, "GET", NULL, &answer, "/admin/tunnel");
    if (status != CLIENT_DONE)
        return status;
    client_print_list(client, answer, columns, "There are no tunnels now.");
    json_decref(answer);
    return CLIENT_DONE;
}

static enum client_status close_tunnel(struct client *client, void *values, char **arguments)
{
    return client_delete(client, "/admin/tunnel", arguments[0], "Tunnel closed.");
}

int admin_tunnel_ls_main(int argc, char **argv)
{
    static const struct client_command command = {&admin_tunnel_ls_table, CLIENT_ADMIN, ls, 0};
    return client_main(&command, argc, argv);
}

int admin_tunnel_close_main(int argc, char **argv)
{
    static const struct client_command command = {&admin_tunnel_close_table, CLIENT_ADMIN,
                                                  close_tunnel, 1};
    return client_main(&command, argc, argv);
}

/* --- admin quota ls, admin quota set --- */

static const struct client_column quota_columns[] = {
    {"user_id", "user_id", CLIENT_TEXT},
    {"email", "email", CLIENT_TEXT},
    {"used this month", "used_bytes", CLIENT_BYTES},
    {"quota", "quota_bytes", CLIENT_LIMIT},
    {0},
};

struct quota_settings {
    struct client_settings client;
    char *user;
    uint64_t bytes;
    bool is_none;
};

static const struct setting quota_rows[] = {
    CLIENT_ADMIN_SETTINGS,
    {.name = "user",
     .type = SETTING_TEXT,
     .offset = offsetof(struct quota_settings, user),
     .environment = "STREAMPLEX_USER_ID",
     .placeholder = "USER",
     .help = "Which user: the e-mail address, or the user_id."},
    {.name = "bytes",
     .type = SETTING_SIZE,
     .offset = offsetof(struct quota_settings, bytes),
     .environment = "STREAMPLEX_QUOTA",
     .placeholder = "SIZE",
     .help = "What the user's tunnels and visitors may move in a month, both ways together: 100g.",
     .most = INT64_MAX},
    {.name = "none",
     .type = SETTING_FLAG,
     .offset = offsetof(struct quota_settings, is_none),
     .help = "Takes the quota off."},
    {0},
};

const struct settings_table admin_quota_ls_table = {
    .command = "admin quota ls",
    .arguments = "",
    .summary = "Lists what each account has moved this month, and what it may.",
    .settings = bare_rows,
    .size = sizeof(struct client_settings),
};

const struct settings_table admin_quota_set_table = {
    .command = "admin quota set",
    .arguments = "",
    .summary = "Sets an account's quota of bytes a month.",
    .settings = quota_rows,
    .size = sizeof(struct quota_settings),
};

static enum client_status ls_quotas(struct client *client, void *values, char **arguments)
{
    json_t *answer;
    enum client_status status = client_ask(client, "GET", NULL, &answer, "/admin/quota");
    if (status != CLIENT_DONE)
        return status;
    client_print_list(client, answer, quota_columns, "There are no users yet.");
    json_decref(answer);
    return CLIENT_DONE;
}

static enum client_status set_quota(struct client *client, void *values, char **arguments)
{
    const struct quota_settings *settings = values;
    json_t *answer;
    enum client_status status = client_need(client, settings->user, "user");
    if (status != CLIENT_DONE)
        return status;
    if (settings->is_none == (settings->bytes > 0))
        return client_fail(client, CLIENT_WRONG, "give --bytes, more than 0, or --none");
    char *segment = client_segment(settings->user);
    json_t *body = json_pack("{s:I}", "quota_bytes", (json_int_t)settings->bytes);
    if (segment && body) {
        status = client_ask(client, "PUT", body, &answer, "/admin/quota/%s", segment);
    } else {
        json_decref(body);
        status = client_fail(client, CLIENT_WRONG, "that is no user");
    }
    free(segment);
    if (status != CLIENT_DONE)
        return status;
    client_print_list(client, answer, quota_columns, "");
    json_decref(answer);
    return CLIENT_DONE;
}

int admin_quota_ls_main(int argc, char **argv)
{
    static const struct client_command command = {&admin_quota_ls_table, CLIENT_ADMIN, ls_quotas,
                                                  0};
    return client_main(&command, argc, argv);
}

int admin_quota_set_main(int argc, char **argv)
{
    static const struct client_command command = {&admin_quota_set_table, CLIENT_ADMIN, set_quota,
                                                  0};
    return client_main(&command, argc, argv);
}

/* --- admin backup --- */

const struct settings_table admin_backup_table = {
    .command = "admin backup",
    .arguments = "FILE",
    .summary = "Writes a copy of the store while the server runs: the accounts, sockets, tunnels "
               "and tokens as they are at one moment. The server writes it, so it has to be "
               "allowed there. To restore it, put it in the state folder as streamplex.db while no "
               "server runs.",
    .settings = bare_rows,
    .size = sizeof(struct client_settings),
};

/* The server's folder isn't ours: it gets a path from the root. */
static enum client_status backup(struct client *client, void *values, char **arguments)
{
    char folder[PATH_MAX] = "";
    const char *file = arguments[0];
    json_t *answer;
    if (*file != '/' && !getcwd(folder, sizeof folder))
        return client_fail(client, CLIENT_WRONG, "give FILE as a path from the root");
    json_t *body = json_pack("{s:s++}", "file", folder, *file == '/' ? "" : "/", file);
    if (!body)
        return client_fail(client, CLIENT_WRONG, "FILE has to be UTF-8");
    enum client_status status = client_ask(client, "POST", body, &answer, "/admin/backup");
    if (status != CLIENT_DONE)
        return status;
    client_print_done(client, answer, "Backup written to %s", client_text(answer, "file"));
    json_decref(answer);
    return CLIENT_DONE;
}

int admin_backup_main(int argc, char **argv)
{
    static const struct client_command command = {&admin_backup_table, CLIENT_ADMIN, backup, 1};
    return client_main(&command, argc, argv);
}
