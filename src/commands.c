#include "commands.h"

#include "agent/commands.h"
#include "agent/connect.h"
#include "agent/dial.h"
#include "base/command_completion.h"
#include "base/command_man.h"
#include "bench/bench.h"
#include "bench/options.h"
#include "server/config.h"
#include "server/serve.h"

#include <string.h>

static const char on_server[] = "The server";
static const char on_device[] = "Agents and devices";
static const char on_account[] = "An account on a server of many";
static const char on_operator[] = "The server's operator, on its own machine";

/* --- What the shells and man are given; nobody types it --- */

static const struct setting no_settings[] = {{0}};

static const struct settings_table completion_table = {
    .command = "completion",
    .arguments = "bash|zsh|fish",
    .summary = "Prints a script that completes this program's command lines.",
    .settings = no_settings,
    .size = sizeof(int),
};

static const struct settings_table man_table = {
    .command = "man",
    .arguments = "PAGE",
    .summary =
        "Prints the man page of the program (streamplex), or of a command by its first word.",
    .settings = no_settings,
    .size = sizeof(int),
};

static int completion_main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*write)(const struct command_list *list, FILE *stream);
    } shells[] = {
        {"bash", command_complete_bash},
        {"zsh", command_complete_zsh},
        {"fish", command_complete_fish},
    };
    for (size_t i = 0; argc == 2 && i < sizeof shells / sizeof shells[0]; i++)
        if (strcmp(argv[1], shells[i].name) == 0) {
            shells[i].write(&commands_list, stdout);
            return fflush(stdout) != 0;
        }
    fprintf(stderr, "usage: streamplex completion bash|zsh|fish\n");
    return 1;
}

static int man_main(int argc, char **argv)
{
    if (argc == 2 && command_man(&commands_list, argv[1], stdout) == 0)
        return fflush(stdout) != 0;
    fprintf(stderr, "usage: streamplex man streamplex|serve|connect|...\n");
    return 1;
}

/* --- All of them --- */

static const struct command commands[] = {
    {"serve", serve_main, &serve_table, "the server: tunnels of devices, and what they ask for",
     on_server},
    {"bench", bench_main, &bench_table, "measures how fast a server is, and against what limit",
     on_server},
    {"connect", connect_main, &connect_table,
     "an agent: a service of this machine, reached by anyone", on_device},
    {"dial", dial_main, &dial_table,
     "a device for the shell: standard input and output go out through a server", on_device},
    {"account create", account_create_main, &account_create_table, "makes an account", on_account},
    {"account show", account_show_main, &account_show_table, "shows the account that is logged in",
     on_account},
    {"login", login_main, &login_table, "logs in, for later commands", on_account},
    {"logout", logout_main, &logout_table, "ends the login", on_account},
    {"socket ls", socket_ls_main, &socket_ls_table, "lists sockets: public addresses that stay",
     on_account},
    {"socket create", socket_create_main, &socket_create_table, "makes a socket", on_account},
    {"socket show", socket_show_main, &socket_show_table, "shows a socket and its tunnels",
     on_account},
    {"socket delete", socket_delete_main, &socket_delete_table, "deletes a socket", on_account},
    {"tunnel ls", tunnel_ls_main, &tunnel_ls_table, "lists a socket's tunnels", on_account},
    {"tunnel create", tunnel_create_main, &tunnel_create_table, "gives a socket one more tunnel",
     on_account},
    {"tunnel delete", tunnel_delete_main, &tunnel_delete_table, "takes a tunnel from a socket",
     on_account},
    {"tunnel connect", tunnel_connect_main, &tunnel_connect_table,
     "an agent for a socket that stays", on_account},
    {"token ls", token_ls_main, &token_ls_table, "lists the tokens of devices", on_account},
    {"token create", token_create_main, &token_create_table, "makes a device's token", on_account},
    {"token revoke", token_revoke_main, &token_revoke_table, "ends a device's token", on_account},
    {"admin user ls", admin_user_ls_main, &admin_user_ls_table, "lists accounts", on_operator},
    {"admin user add", admin_user_add_main, &admin_user_add_table, "makes an account", on_operator},
    {"admin user show", admin_user_show_main, &admin_user_show_table, "shows an account",
     on_operator},
    {"admin user set", admin_user_set_main, &admin_user_set_table,
     "changes an account: name, e-mail, password, state", on_operator},
    {"admin user delete", admin_user_delete_main, &admin_user_delete_table, "deletes an account",
     on_operator},
    {"admin token ls", admin_token_ls_main, &admin_token_ls_table,
     "lists everybody's device tokens", on_operator},
    {"admin token create", admin_token_create_main, &admin_token_create_table,
     "makes a device's token for a user", on_operator},
    {"admin token revoke", admin_token_revoke_main, &admin_token_revoke_table,
     "ends a device's token", on_operator},
    {"admin socket ls", admin_socket_ls_main, &admin_socket_ls_table, "lists everybody's sockets",
     on_operator},
    {"admin socket show", admin_socket_show_main, &admin_socket_show_table, "shows a socket",
     on_operator},
    {"admin socket delete", admin_socket_delete_main, &admin_socket_delete_table,
     "deletes a socket", on_operator},
    {"admin tunnel ls", admin_tunnel_ls_main, &admin_tunnel_ls_table,
     "lists the tunnels that are up now", on_operator},
    {"admin tunnel close", admin_tunnel_close_main, &admin_tunnel_close_table, "closes a tunnel",
     on_operator},
    {"admin quota ls", admin_quota_ls_main, &admin_quota_ls_table,
     "lists what accounts have moved this month", on_operator},
    {"admin quota set", admin_quota_set_main, &admin_quota_set_table,
     "sets what an account may move in a month", on_operator},
    {"admin backup", admin_backup_main, &admin_backup_table,
     "copies the store while the server runs", on_operator},
    {"completion", completion_main, &completion_table, "", NULL},
    {"man", man_main, &man_table, "", NULL},
};

const struct command_list commands_list = {commands, sizeof commands / sizeof commands[0],
                                           STREAMPLEX_VERSION};
