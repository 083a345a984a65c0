/* A service: what an agent offers through its tunnel, and how it is reached from here. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/settings.h"
#include "edge/proxy_header.h"

#define SERVICE_NAME_MAX                                                                           \
    64 /* bytes: what the server takes (REGISTRY_NAME_MAX, PLEX_SERVICE_MAX)                       \
        */

/* The order of the setting's choices. */
enum service_type {
    SERVICE_HTTPS,
    SERVICE_HTTP,
    SERVICE_TLS,
    SERVICE_TCP,
    SERVICE_PASSTHROUGH,
};

/* As the settings have them; zero it before. */
struct service_settings {
    uint64_t port; /* 0: none */
    char *host;
    char *name; /* NULL: made up */
    int type;   /* enum service_type */
    char *hostname;
    bool https_only;
    char *host_header;
    bool upstream_tls, upstream_insecure;
    char *unix_path;
    char *folder;
    bool folder_hidden;
    int proxy_protocol; /* enum proxy_version */
};

/* The rows of `connect` and of a services file are the same; base: where in the command's struct
 * the settings are. */
#define SERVICE_SETTINGS(base)                                                                     \
    {.name = "port",                                                                               \
     .type = SETTING_NUMBER,                                                                       \
     .offset = (base) + offsetof(struct service_settings, port),                                   \
     .environment = "STREAMPLEX_PORT",                                                             \
     .placeholder = "PORT",                                                                        \
     .help = "The port of the local service.",                                                     \
     .least = 1,                                                                                   \
     .most = UINT16_MAX},                                                                          \
        {.name = "host",                                                                           \
         .type = SETTING_TEXT,                                                                     \
         .offset = (base) + offsetof(struct service_settings, host),                               \
         .fallback = "127.0.0.1",                                                                  \
         .environment = "STREAMPLEX_HOST",                                                         \
         .placeholder = "HOST",                                                                    \
         .help = "Where the service runs: an address, or a name.",                                 \
         .check = service_check_host},                                                             \
        {.name = "unix",                                                                           \
         .type = SETTING_TEXT,                                                                     \
         .offset = (base) + offsetof(struct service_settings, unix_path),                          \
         .environment = "STREAMPLEX_UNIX",                                                         \
         .placeholder = "PATH",                                                                    \
         .help = "The service's Unix socket, instead of --port.",                                  \
         .check = service_check_unix},                                                             \
        {.name = "dir",                                                                            \
         .type = SETTING_TEXT,                                                                     \
         .offset = (base) + offsetof(struct service_settings, folder),                             \
         .environment = "STREAMPLEX_DIR",                                                          \
         .placeholder = "PATH",                                                                    \
         .help = "Serves this folder's files, instead of --port: no other program is needed."},    \
        {.name = "dir-hidden",                                                                     \
         .type = SETTING_FLAG,                                                                     \
         .offset = (base) + offsetof(struct service_settings, folder_hidden),                      \
         .environment = "STREAMPLEX_DIR_HIDDEN",                                                   \
         .help = "Serves files and folders whose name begins with a dot, too."},                   \
        {.name = "name",                                                                           \
         .type = SETTING_TEXT,                                                                     \
         .offset = (base) + offsetof(struct service_settings, name),                               \
         .environment = "STREAMPLEX_NAME",                                                         \
         .placeholder = "NAME",                                                                    \
         .help = "What the service is called. The server finds its address again by it, so that "  \
                 "the same name of the same owner keeps it. By default this machine's name and "   \
                 "the port.",                                                                      \
         .check = service_check_name},                                                             \
        {.name = "type",                                                                           \
         .type = SETTING_CHOICE,                                                                   \
         .offset = (base) + offsetof(struct service_settings, type),                               \
         .fallback = "https",                                                                      \
         .environment = "STREAMPLEX_TYPE",                                                         \
         .placeholder = "TYPE",                                                                    \
         .help = "How visitors come: https or http (by a name on the shared ports), tls (a port "  \
                 "of its own, the server does TLS), tcp (a port of its own, raw bytes), "          \
                 "passthrough (by a name on the HTTPS port; the service does TLS itself).",        \
         .choices = service_types},                                                                \
        {.name = "hostname",                                                                       \
         .type = SETTING_TEXT,                                                                     \
         .offset = (base) + offsetof(struct service_settings, hostname),                           \
         .environment = "STREAMPLEX_HOSTNAME",                                                     \
         .placeholder = "HOSTNAME",                                                                \
         .help = "The host name asked for: one under the server's domain, or another that it "     \
                 "allows. By default the server makes one up, and keeps it.",                      \
         .check = service_check_host},                                                             \
        {.name = "https-only",                                                                     \
         .type = SETTING_FLAG,                                                                     \
         .offset = (base) + offsetof(struct service_settings, https_only),                         \
         .environment = "STREAMPLEX_HTTPS_ONLY",                                                   \
         .help = "Visitors who come by plain HTTP are sent to HTTPS."},                            \
        {.name = "host-header",                                                                    \
         .type = SETTING_TEXT,                                                                     \
         .offset = (base) + offsetof(struct service_settings, host_header),                        \
         .environment = "STREAMPLEX_HOST_HEADER",                                                  \
         .placeholder = "HOST[:PORT]",                                                             \
         .help = "The Host header that the service gets, instead of the visitor's.",               \
         .check = service_check_host},                                                             \
        {.name = "upstream-tls",                                                                   \
         .type = SETTING_FLAG,                                                                     \
         .offset = (base) + offsetof(struct service_settings, upstream_tls),                       \
         .environment = "STREAMPLEX_UPSTREAM_TLS",                                                 \
         .help = "The service itself speaks TLS; its certificate has to be for --host."},          \
        {.name = "upstream-insecure",                                                              \
         .type = SETTING_FLAG,                                                                     \
         .offset = (base) + offsetof(struct service_settings, upstream_insecure),                  \
         .environment = "STREAMPLEX_UPSTREAM_INSECURE",                                            \
         .help = "The same, and its certificate isn't checked."},                                  \
    {                                                                                              \
        .name = "proxy-protocol", .type = SETTING_CHOICE,                                          \
        .offset = (base) + offsetof(struct service_settings, proxy_protocol), .fallback = "none",  \
        .environment = "STREAMPLEX_PROXY_PROTOCOL", .placeholder = "VERSION",                      \
        .help = "Tells the service who really connects, by a PROXY header before anything else: "  \
                "none, v1 or v2.",                                                                 \
        .choices = service_proxy_versions                                                          \
    }

extern const char *const service_types[];          /* by enum service_type */
extern const char *const service_proxy_versions[]; /* by enum proxy_version */
int service_check_host(const char *text, char *error, size_t error_size);
int service_check_unix(const char *text, char *error, size_t error_size);
int service_check_name(const char *text, char *error, size_t error_size);

/* These rows alone, as a section of a services file has them. */
extern const struct settings_table service_table;

/* One service with its name. */
struct service {
    struct service_settings settings;
    char name[SERVICE_NAME_MAX + 1]; /* unique in a list */
};

/* A list of services; zero it before. */
struct service_list {
    struct service *items;
    size_t count;
};

#define SERVICES_MAX 64 /* sockets that a server takes on one tunnel */

/* Adds one, whose settings it takes over (they are zeroed), whether it succeeds or not. name: when
 * the settings have none; NULL: made up of machine and port. 0, or -1 with a sentence: it says
 * nothing of where the service is, or contradicts itself, or its name is there already. */
int service_list_add(struct service_list *list, struct service_settings *settings, const char *name,
                     const char *machine, char *error, size_t error_size)
    __attribute__((warn_unused_result));
/* Adds those of an INI text: a section a service, named after it, with the same names as the flags.
 * 0, or -1 with a sentence that begins with file and line. */
int service_list_parse(struct service_list *list, const char *text, size_t length,
                       const char *file_name, const char *machine, char *error, size_t error_size)
    __attribute__((warn_unused_result));
/* NULL when there is none. */
struct service *service_list_find(const struct service_list *list, const char *name);
void service_list_deinit(struct service_list *list);
