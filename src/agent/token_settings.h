/* A device token's scopes: the settings of `token create` and `admin token create`, as JSON; and
 * tokens as tables. */
#pragma once

#include "agent/client.h"

struct token_settings {
    char *name;
    uint64_t lifetime; /* microseconds; 0: for ever */
    struct setting_list egress_allow, egress_deny, sockets;
    uint64_t max_tunnels, max_substreams;
    uint64_t bytes_per_second, bytes_per_month;
};

#define TOKEN_SETTINGS(base)                                                                       \
    {.name = "name",                                                                               \
     .type = SETTING_TEXT,                                                                         \
     .offset = (base) + offsetof(struct token_settings, name),                                     \
     .environment = "STREAMPLEX_TOKEN_NAME",                                                       \
     .placeholder = "NAME",                                                                        \
     .help = "What the token is called: the device that gets it, say."},                           \
        {.name = "lifetime",                                                                       \
         .type = SETTING_DURATION,                                                                 \
         .offset = (base) + offsetof(struct token_settings, lifetime),                             \
         .environment = "STREAMPLEX_TOKEN_LIFETIME",                                               \
         .placeholder = "TIME",                                                                    \
         .help = "How long it is good, from now on: 90d. Without it for ever."},                   \
        {.name = "egress-allow",                                                                   \
         .type = SETTING_LIST,                                                                     \
         .offset = (base) + offsetof(struct token_settings, egress_allow),                         \
         .environment = "STREAMPLEX_TOKEN_EGRESS_ALLOW",                                           \
         .placeholder = "RULE",                                                                    \
         .help = "Targets that its device may reach, written as the server's --egress-allow. It "  \
                 "can't allow what the server denies."},                                           \
        {.name = "egress-deny",                                                                    \
         .type = SETTING_LIST,                                                                     \
         .offset = (base) + offsetof(struct token_settings, egress_deny),                          \
         .environment = "STREAMPLEX_TOKEN_EGRESS_DENY",                                            \
         .placeholder = "RULE",                                                                    \
         .help = "Targets that it may not reach; asked before --egress-allow."},                   \
        {.name = "socket",                                                                         \
         .type = SETTING_LIST,                                                                     \
         .offset = (base) + offsetof(struct token_settings, sockets),                              \
         .environment = "STREAMPLEX_TOKEN_SOCKET",                                                 \
         .placeholder = "NAME",                                                                    \
         .help =                                                                                   \
             "The name or host name of a socket that it may serve; \"-\" alone: none. Without "    \
             "it every one."},                                                                     \
        {.name = "max-tunnels",                                                                    \
         .type = SETTING_NUMBER,                                                                   \
         .offset = (base) + offsetof(struct token_settings, max_tunnels),                          \
         .environment = "STREAMPLEX_TOKEN_MAX_TUNNELS",                                            \
         .placeholder = "COUNT",                                                                   \
         .help = "Tunnels at once.",                                                               \
         .most = UINT32_MAX},                                                                      \
        {.name = "max-substreams",                                                                 \
         .type = SETTING_NUMBER,                                                                   \
         .offset = (base) + offsetof(struct token_settings, max_substreams),                       \
         .environment = "STREAMPLEX_TOKEN_MAX_SUBSTREAMS",                                         \
         .placeholder = "COUNT",                                                                   \
         .help = "Substreams of a tunnel at once.",                                                \
         .most = UINT32_MAX},                                                                      \
        {.name = "bytes-per-second",                                                               \
         .type = SETTING_SIZE,                                                                     \
         .offset = (base) + offsetof(struct token_settings, bytes_per_second),                     \
         .environment = "STREAMPLEX_TOKEN_BYTES_PER_SECOND",                                       \
         .placeholder = "SIZE",                                                                    \
         .help = "Both ways together: 1m.",                                                        \
         .most = INT64_MAX},                                                                       \
    {                                                                                              \
        .name = "bytes-per-month", .type = SETTING_SIZE,                                           \
        .offset = (base) + offsetof(struct token_settings, bytes_per_month),                       \
        .environment = "STREAMPLEX_TOKEN_BYTES_PER_MONTH", .placeholder = "SIZE",                  \
        .help = "Both ways together: 20g.", .most = INT64_MAX                                      \
    }

/* *ret_body: new. now: seconds since 1970. Complains itself. */
enum client_status token_body(const struct client *client, const struct token_settings *settings,
                              uint64_t now, json_t **ret_body) __attribute__((warn_unused_result));
/* The one time that a new token is seen. */
void token_print(const struct client *client, const json_t *answer);

extern const struct client_column token_columns[];
