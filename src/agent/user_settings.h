/* What describes a user: the settings of `account create` and `admin user ...`, as JSON and as a
 * table. */
#pragma once

#include "agent/client.h"

struct user_settings {
    char *name, *email, *sshkey;
};

#define USER_SETTINGS(base)                                                                        \
    {.name = "name",                                                                               \
     .type = SETTING_TEXT,                                                                         \
     .offset = (base) + offsetof(struct user_settings, name),                                      \
     .environment = "STREAMPLEX_USER",                                                             \
     .placeholder = "NAME",                                                                        \
     .help = "The person's name."},                                                                \
        {.name = "email",                                                                          \
         .type = SETTING_TEXT,                                                                     \
         .offset = (base) + offsetof(struct user_settings, email),                                 \
         .environment = "STREAMPLEX_EMAIL",                                                        \
         .placeholder = "EMAIL",                                                                   \
         .help = "The e-mail address, by which the account is known."},                            \
    {                                                                                              \
        .name = "sshkey", .type = SETTING_TEXT,                                                    \
        .offset = (base) + offsetof(struct user_settings, sshkey),                                 \
        .environment = "STREAMPLEX_SSHKEY", .placeholder = "KEY",                                  \
        .help = "A public SSH key, or the name of a file that holds one; it is kept with the "     \
                "account."                                                                         \
    }

/* {name, email, sshkey} of what was given. *ret_body: new. Complains itself. */
enum client_status user_body(const struct client *client, const struct user_settings *settings,
                             json_t **ret_body) __attribute__((warn_unused_result));

extern const struct client_column user_columns[]; /* of `admin user ls`, and of one user */
