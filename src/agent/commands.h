/* The commands that ask the API, by file: argv[0] is the last word of the command's name; the exit
 * status is an enum client_status (agent/client.h). */
#pragma once

#include "base/settings.h"

/* command_account.c */
extern const struct settings_table account_create_table, account_show_table;
int account_create_main(int argc, char **argv);
int account_show_main(int argc, char **argv);

/* command_login.c */
extern const struct settings_table login_table, logout_table;
int login_main(int argc, char **argv);
int logout_main(int argc, char **argv);

/* command_socket.c */
extern const struct settings_table socket_ls_table, socket_create_table, socket_show_table,
    socket_delete_table;
int socket_ls_main(int argc, char **argv);
int socket_create_main(int argc, char **argv);
int socket_show_main(int argc, char **argv);
int socket_delete_main(int argc, char **argv);

/* command_tunnel.c */
extern const struct settings_table tunnel_ls_table, tunnel_create_table, tunnel_delete_table;
int tunnel_ls_main(int argc, char **argv);
int tunnel_create_main(int argc, char **argv);
int tunnel_delete_main(int argc, char **argv);

/* command_tunnel_connect.c */
extern const struct settings_table tunnel_connect_table;
int tunnel_connect_main(int argc, char **argv);

/* command_token.c */
extern const struct settings_table token_ls_table, token_create_table, token_revoke_table;
int token_ls_main(int argc, char **argv);
int token_create_main(int argc, char **argv);
int token_revoke_main(int argc, char **argv);

/* command_admin_user.c */
extern const struct settings_table admin_user_ls_table, admin_user_add_table, admin_user_show_table,
    admin_user_set_table, admin_user_delete_table;
int admin_user_ls_main(int argc, char **argv);
int admin_user_add_main(int argc, char **argv);
int admin_user_show_main(int argc, char **argv);
int admin_user_set_main(int argc, char **argv);
int admin_user_delete_main(int argc, char **argv);

/* command_admin_token.c */
extern const struct settings_table admin_token_ls_table, admin_token_create_table,
    admin_token_revoke_table;
int admin_token_ls_main(int argc, char **argv);
int admin_token_create_main(int argc, char **argv);
int admin_token_revoke_main(int argc, char **argv);

/* command_admin_socket.c */
extern const struct settings_table admin_socket_ls_table, admin_socket_show_table,
    admin_socket_delete_table;
int admin_socket_ls_main(int argc, char **argv);
int admin_socket_show_main(int argc, char **argv);
int admin_socket_delete_main(int argc, char **argv);

/* command_admin.c */
extern const struct settings_table admin_tunnel_ls_table, admin_tunnel_close_table,
    admin_quota_ls_table, admin_quota_set_table, admin_backup_table;
int admin_tunnel_ls_main(int argc, char **argv);
int admin_tunnel_close_main(int argc, char **argv);
int admin_quota_ls_main(int argc, char **argv);
int admin_quota_set_main(int argc, char **argv);
int admin_backup_main(int argc, char **argv);
