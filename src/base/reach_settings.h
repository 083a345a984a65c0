/* Where a server is, who we are to it, and why we believe that it is the one: the settings that
 * every command that opens a tunnel has. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/endpoint.h"
#include "base/settings.h"

#define REACH_TOKEN_MAX 2048 /* bytes; the engine's PLEX_TOKEN_MAX */

/* Embedded in a command's struct of settings. */
struct reach_settings {
    char *server;
    uint64_t server_port;
    char *token, *token_file;
    char *ca, *ca_pem, *pin;
};

/* The rows of a command's table; base: where in the command's struct the settings are. */
#define REACH_SETTINGS(base)                                                                       \
    {.name = "server",                                                                             \
     .type = SETTING_TEXT,                                                                         \
     .offset = (base) + offsetof(struct reach_settings, server),                                   \
     .environment = "STREAMPLEX_SERVER",                                                           \
     .reference = "PROXY_HOST",                                                                    \
     .placeholder = "HOST[:PORT]",                                                                 \
     .help = "The server that the tunnel goes to. Its certificate has to be for this name."},      \
        {.name = "server-port",                                                                    \
         .type = SETTING_NUMBER,                                                                   \
         .offset = (base) + offsetof(struct reach_settings, server_port),                          \
         .fallback = "5005",                                                                       \
         .environment = "STREAMPLEX_SERVER_PORT",                                                  \
         .reference = "PROXY_PORT",                                                                \
         .placeholder = "PORT",                                                                    \
         .help = "The server's port where --server has none.",                                     \
         .least = 1,                                                                               \
         .most = UINT16_MAX},                                                                      \
        {.name = "token",                                                                          \
         .type = SETTING_TEXT,                                                                     \
         .offset = (base) + offsetof(struct reach_settings, token),                                \
         .environment = "STREAMPLEX_TOKEN",                                                        \
         .reference = "PROXY_TOKEN TM_API_KEY",                                                    \
         .placeholder = "TOKEN",                                                                   \
         .help = "The token that proves who we are. On the command line other users of this "      \
                 "machine can see it: better use --token-file or the environment.",                \
         .secret = true},                                                                          \
        {.name = "token-file",                                                                     \
         .type = SETTING_TEXT,                                                                     \
         .offset = (base) + offsetof(struct reach_settings, token_file),                           \
         .environment = "STREAMPLEX_TOKEN_FILE",                                                   \
         .placeholder = "FILE",                                                                    \
         .help = "A file whose first line is the token. Goes before --token."},                    \
        {.name = "ca",                                                                             \
         .type = SETTING_TEXT,                                                                     \
         .offset = (base) + offsetof(struct reach_settings, ca),                                   \
         .environment = "STREAMPLEX_CA",                                                           \
         .placeholder = "FILE",                                                                    \
         .help = "PEM certificates trusted for the server, instead of the system's."},             \
        {.name = "ca-pem",                                                                         \
         .type = SETTING_TEXT,                                                                     \
         .offset = (base) + offsetof(struct reach_settings, ca_pem),                               \
         .environment = "STREAMPLEX_CA_PEM",                                                       \
         .reference = "PROXY_CERT",                                                                \
         .placeholder = "PEM",                                                                     \
         .help = "The same as text, not as a file's name. --ca goes before it."},                  \
    {                                                                                              \
        .name = "pin", .type = SETTING_TEXT,                                                       \
        .offset = (base) + offsetof(struct reach_settings, pin), .environment = "STREAMPLEX_PIN",  \
        .placeholder = "sha256:HEX",                                                               \
        .help = "Trusts the one server whose certificate, or public key, has this SHA-256; "       \
                "neither its name nor who signed it is looked at then."                            \
    }

/* The same, checked and with what they name read. */
struct reach {
    struct endpoint server;
    char *token;            /* malloced, 1...REACH_TOKEN_MAX bytes */
    const char *pin_sha256; /* 64 hex digits, part of the settings; or NULL */
    const char *ca_file;    /* part of the settings; NULL: not by a file */
    const char *ca_pem;     /* part of the settings; NULL: not by text */
};

/* Zero *reach before. 0, or -1 with a sentence in `error`; reach_deinit() in any case. The settings
 * have to live as long. */
int reach_read(struct reach *reach, const struct reach_settings *settings, char *error,
               size_t error_size) __attribute__((warn_unused_result));
void reach_deinit(struct reach *reach);

/* Its parts. Each: 0, or -1 with a sentence in `error`; the last parameter changes only on success.
 */
int reach_find_server(const struct reach_settings *settings, char *error, size_t error_size,
                      struct endpoint *ret_server) __attribute__((warn_unused_result));
int reach_find_token(const struct reach_settings *settings, char *error, size_t error_size,
                     char **ret_token) __attribute__((warn_unused_result));
int reach_find_pin(const struct reach_settings *settings, char *error, size_t error_size,
                   const char **ret_digits) __attribute__((warn_unused_result));
