/* How a command gets a password: --password, --password-stdin, or by asking. */
#pragma once

#include <stdbool.h>

#include "agent/client.h"
#include "agent/prompt.h"

struct password_settings {
    char *password;
    bool from_stdin;
};

#define PASSWORD_SETTINGS(base)                                                                    \
    {.name = "password",                                                                           \
     .type = SETTING_TEXT,                                                                         \
     .offset = (base) + offsetof(struct password_settings, password),                              \
     .environment = "STREAMPLEX_PASSWORD",                                                         \
     .placeholder = "PASSWORD",                                                                    \
     .help = "The account's password. On the command line other users of this machine can see "    \
             "it: without it the terminal is asked.",                                              \
     .secret = true},                                                                              \
    {                                                                                              \
        .name = "password-stdin", .type = SETTING_FLAG,                                            \
        .offset = (base) + offsetof(struct password_settings, from_stdin),                         \
        .help = "Reads the password from standard input, a line."                                  \
    }

/* is_new: asks twice. Complains itself. */
enum client_status password_get(const struct client *client,
                                const struct password_settings *settings, bool is_new,
                                char *password) __attribute__((warn_unused_result));
