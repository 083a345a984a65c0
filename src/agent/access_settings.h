/* Who may visit a socket, and what is said of it: settings that `socket create` and `connect` have,
 * and that only an account's sockets know. */
#pragma once

#include "agent/client.h"

struct access_settings {
    char *description;
    bool is_protected;
    char *username, *password;
    struct setting_list allow, deny;
    char *client_ca;
    uint64_t rate, visitor_rate, max_connections;
};

#define ACCESS_SETTINGS(base)                                                                      \
    {.name = "description",                                                                        \
     .type = SETTING_TEXT,                                                                         \
     .offset = (base) + offsetof(struct access_settings, description),                             \
     .environment = "STREAMPLEX_DESCRIPTION",                                                      \
     .placeholder = "TEXT",                                                                        \
     .help = "What the socket is for, in your words. (With a login.)"},                            \
        {.name = "protected",                                                                      \
         .type = SETTING_FLAG,                                                                     \
         .offset = (base) + offsetof(struct access_settings, is_protected),                        \
         .environment = "STREAMPLEX_PROTECTED",                                                    \
         .help = "Visitors are asked for --username and --password: for http and https. (With a "  \
                 "login.)"},                                                                       \
        {.name = "username",                                                                       \
         .type = SETTING_TEXT,                                                                     \
         .offset = (base) + offsetof(struct access_settings, username),                            \
         .environment = "STREAMPLEX_PROTECTED_USERNAME",                                           \
         .placeholder = "NAME",                                                                    \
         .help = "What visitors of a --protected socket call themselves."},                        \
        {.name = "password",                                                                       \
         .type = SETTING_TEXT,                                                                     \
         .offset = (base) + offsetof(struct access_settings, password),                            \
         .environment = "STREAMPLEX_PROTECTED_PASSWORD",                                           \
         .placeholder = "PASSWORD",                                                                \
         .help = "The password of a --protected socket's visitors; asked for when it isn't "       \
                 "given.",                                                                         \
         .secret = true},                                                                          \
        {.name = "allow",                                                                          \
         .type = SETTING_LIST,                                                                     \
         .offset = (base) + offsetof(struct access_settings, allow),                               \
         .environment = "STREAMPLEX_ALLOW",                                                        \
         .placeholder = "CIDR",                                                                    \
         .help = "Only visitors from these addresses: 192.0.2.0/24, 2001:db8::/32. (With a "       \
                 "login.)"},                                                                       \
        {.name = "deny",                                                                           \
         .type = SETTING_LIST,                                                                     \
         .offset = (base) + offsetof(struct access_settings, deny),                                \
         .environment = "STREAMPLEX_DENY",                                                         \
         .placeholder = "CIDR",                                                                    \
         .help = "No visitors from these addresses; asked before --allow. (With a login.)"},       \
        {.name = "client-ca",                                                                      \
         .type = SETTING_TEXT,                                                                     \
         .offset = (base) + offsetof(struct access_settings, client_ca),                           \
         .environment = "STREAMPLEX_CLIENT_CA",                                                    \
         .placeholder = "FILE",                                                                    \
         .help = "Visitors need a certificate that one of these PEM certificates has signed: for " \
                 "https and tls. (With a login.)"},                                                \
        {.name = "rate",                                                                           \
         .type = SETTING_NUMBER,                                                                   \
         .offset = (base) + offsetof(struct access_settings, rate),                                \
         .environment = "STREAMPLEX_RATE",                                                         \
         .placeholder = "COUNT",                                                                   \
         .help = "Requests (http, https) or connections a second, from all visitors together. "    \
                 "(With a login.)",                                                                \
         .most = UINT32_MAX},                                                                      \
        {.name = "visitor-rate",                                                                   \
         .type = SETTING_NUMBER,                                                                   \
         .offset = (base) + offsetof(struct access_settings, visitor_rate),                        \
         .environment = "STREAMPLEX_VISITOR_RATE",                                                 \
         .placeholder = "COUNT",                                                                   \
         .help = "The same, from one address. (With a login.)",                                    \
         .most = UINT32_MAX},                                                                      \
    {                                                                                              \
        .name = "max-connections", .type = SETTING_NUMBER,                                         \
        .offset = (base) + offsetof(struct access_settings, max_connections),                      \
        .environment = "STREAMPLEX_MAX_CONNECTIONS", .placeholder = "COUNT",                       \
        .help = "Visitors at once. (With a login.)", .most = UINT32_MAX                            \
    }

/* Is any of it given? */
bool access_settings_any(const struct access_settings *settings);
/* Adds it to a socket's body; reads the file, and asks for the password. Complains itself. */
enum client_status access_settings_body(const struct client *client,
                                        const struct access_settings *settings, json_t *body)
    __attribute__((warn_unused_result));
