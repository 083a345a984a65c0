/* What the commands that ask the API have in common: where it is, who we are to it, and how its
 * answers are shown.
 *
 * A command is a struct client_command: its table, and a function that asks and prints. To add one:
 * a function in the command_*.c of its group, a struct there, a line in main.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <jansson.h>

#include "agent/api_client.h"
#include "agent/login_store.h"
#include "base/settings.h"

/* How a command ends. */
enum client_status {
    CLIENT_DONE = 0,
    CLIENT_WRONG = 1,       /* wrong use, this machine's fault, or refused by the server */
    CLIENT_UNREACHABLE = 2, /* no answer */
    CLIENT_LOGIN = 3,       /* not logged in, or no longer */
};

/* First in each command's struct of settings. */
struct client_settings {
    bool help, json;
    char *api, *ca;     /* by the network; or */
    char *admin_socket; /* on the server's own machine */
};

/* The first rows of a command's table: of an account's commands, and of the operator's. */
#define CLIENT_COMMON_SETTINGS                                                                     \
    {.name = "help",                                                                               \
     .type = SETTING_FLAG,                                                                         \
     .offset = offsetof(struct client_settings, help),                                             \
     .help = "Prints this help."},                                                                 \
    {                                                                                              \
        .name = "json", .type = SETTING_FLAG, .offset = offsetof(struct client_settings, json),    \
        .environment = "STREAMPLEX_JSON",                                                          \
        .help = "Prints the server's answer, JSON, instead of a table."                            \
    }
#define CLIENT_SETTINGS                                                                            \
    CLIENT_COMMON_SETTINGS,                                                                        \
        {.name = "api",                                                                            \
         .type = SETTING_TEXT,                                                                     \
         .offset = offsetof(struct client_settings, api),                                          \
         .environment = "STREAMPLEX_API",                                                          \
         .placeholder = "URL",                                                                     \
         .help = "Where the server's API is: https://api.example. Without it the one that "        \
                 "`streamplex login` went to."},                                                   \
    {                                                                                              \
        .name = "ca", .type = SETTING_TEXT, .offset = offsetof(struct client_settings, ca),        \
        .environment = "STREAMPLEX_CA", .placeholder = "FILE",                                     \
        .help = "PEM certificates trusted for the API, instead of the system's. A login "          \
                "remembers it."                                                                    \
    }
#define CLIENT_ADMIN_SETTINGS                                                                      \
    CLIENT_COMMON_SETTINGS,                                                                        \
    {                                                                                              \
        .name = "admin-socket", .type = SETTING_TEXT,                                              \
        .offset = offsetof(struct client_settings, admin_socket),                                  \
        .environment = "STREAMPLEX_ADMIN_SOCKET", .placeholder = "PATH",                           \
        .help = "The server's Unix socket. By default admin.sock in the server's state folder, "   \
                "as the same user has it."                                                         \
    }

struct client {
    const char *command; /* "socket create" */
    const struct client_settings *settings;
    struct login login; /* token NULL: none; api and ca as they are used */
    struct api_client *api;
};

enum client_access {
    CLIENT_BARE,  /* no API is asked before the function does so by client_open_api() */
    CLIENT_OPEN,  /* an API, without a login */
    CLIENT_OWNER, /* with the login */
    CLIENT_ADMIN, /* by the admin socket */
};

struct client_command {
    const struct settings_table *table;
    enum client_access access;
    /* settings: the command's struct. arguments: what stands after the options, NULL-terminated. */
    enum client_status (*run)(struct client *client, void *settings, char **arguments);
    int arguments; /* how many there have to be */
};

/* Runs a command from its arguments to its exit status. */
int client_main(const struct client_command *command, int argc, char **argv);

/* Fills client->login and opens client->api. Complains itself. */
enum client_status client_open_api(struct client *client, enum client_access access)
    __attribute__((warn_unused_result));
void client_close(struct client *client);
/* A sentence for the user; returns `status`. */
enum client_status client_fail(const struct client *client, enum client_status status,
                               const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Complains, and returns CLIENT_WRONG, unless there is a text; `name` is the setting's. */
enum client_status client_need(const struct client *client, const char *text, const char *name)
    __attribute__((warn_unused_result));

/* Asks, complains itself. body: taken; NULL: none. path: printf's; what is the user's in it went
 * through client_segment(). ret_answer: NULL when it isn't wanted; else new, and never NULL after
 * CLIENT_DONE. */
enum client_status client_ask(struct client *client, const char *method, json_t *body,
                              json_t **ret_answer, const char *path, ...)
    __attribute__((format(printf, 5, 6), warn_unused_result));
/* `text` as a segment of a path, percent-encoded; malloced. NULL: no memory, or there is no such
 * segment. */
char *client_segment(const char *text);

/* --- Bodies --- */

/* Each does nothing when there is nothing to add (NULL, 0, an empty list). 0, or -1 without memory,
 * or with a NULL object. */
int client_add_text(json_t *object, const char *key, const char *text)
    __attribute__((warn_unused_result));
int client_add_number(json_t *object, const char *key, uint64_t number)
    __attribute__((warn_unused_result));
int client_add_list(json_t *object, const char *key, const struct setting_list *list)
    __attribute__((warn_unused_result));

/* --- Answers --- */

enum client_kind {
    CLIENT_TEXT,  /* as it is: texts, numbers, yes/no, lists with commas between */
    CLIENT_TIME,  /* seconds since 1970, "never" for 0 */
    CLIENT_BYTES, /* "1.5 MiB" */
    CLIENT_LIMIT, /* bytes; "none" for 0 */
    CLIENT_COUNT, /* "none" for 0 */
    CLIENT_RTT,   /* microseconds as "12.3 ms", "" for 0 */
};
struct client_column {
    const char *title;
    const char *key; /* in the object */
    enum client_kind kind;
};

/* --json: the answer; else a table with a row for each object of the list, or the one that it is;
 * `none` when it is empty. The last column has no title. */
void client_print_list(const struct client *client, const json_t *answer,
                       const struct client_column *columns, const char *none);
/* The same, with a row a value. */
void client_print_object(const struct client *client, const json_t *answer,
                         const struct client_column *columns);
/* --json: the answer; else the sentence. answer may be NULL: {}. */
void client_print_done(const struct client *client, const json_t *answer, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void client_print_json(const json_t *answer);
/* The text of `key`, "" when there is none. */
const char *client_text(const json_t *object, const char *key);
