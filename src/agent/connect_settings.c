#include "agent/connect_settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/connect.h"

#define AT(field) offsetof(struct connect_settings, field)

/* A services file is written by hand. */
#define SERVICES_FILE_MAX (1 << 20)
#define INSTANCE_MAX      64

static int check_instance(const char *text, char *error, size_t error_size)
{
    size_t length = strlen(text);
    bool is_fine = length <= INSTANCE_MAX;

    for (size_t i = 0; i < length && is_fine; i++)
        is_fine = text[i] > ' ' && text[i] <= '~';
    if (is_fine)
        return 0;
    snprintf(error, error_size, "an instance has at most %d characters, without blanks",
             INSTANCE_MAX);
    return -1;
}

static const struct setting settings[] = {
    {.name = "help", .type = SETTING_FLAG, .offset = AT(help), .help = "Prints this help."},
    {.name = "config",
     .type = SETTING_TEXT,
     .offset = AT(config_file),
     .environment = "STREAMPLEX_CONFIG",
     .placeholder = "FILE",
     .help = "An INI file with these settings, in a section [connect]."},
    REACH_SETTINGS(AT(reach)),
    SERVICE_SETTINGS(AT(service)),
    {.name = "api",
     .type = SETTING_TEXT,
     .offset = AT(api),
     .environment = "STREAMPLEX_API",
     .placeholder = "URL",
     .help = "Where the server's API is, without --token. By default the one that `streamplex "
             "login` went to."},
    ACCESS_SETTINGS(AT(access)),
    {.name = "file",
     .type = SETTING_TEXT,
     .offset = AT(services_file),
     .environment = "STREAMPLEX_FILE",
     .placeholder = "FILE",
     .help = "An INI file of services, all in one tunnel: a section each, named after it, in "
             "which port, host, unix, dir, dir-hidden, name, type, hostname, https-only, "
             "host-header, upstream-tls, upstream-insecure and proxy-protocol mean what they do "
             "here."},
    {.name = "instance",
     .type = SETTING_TEXT,
     .offset = AT(instance),
     .environment = "STREAMPLEX_INSTANCE",
     .placeholder = "ID",
     .help = "Which agent this is: one that comes back takes the place of its old tunnel, and "
             "several share the visitors of a service. Two at a time must not have the same. By "
             "default made up at each start.",
     .check = check_instance},
    {.name = "once",
     .type = SETTING_FLAG,
     .offset = AT(once),
     .environment = "STREAMPLEX_ONCE",
     .help = "Ends when the server can't be reached, or the tunnel is lost, instead of trying "
             "again for ever."},
    {.name = "json",
     .type = SETTING_FLAG,
     .offset = AT(json),
     .environment = "STREAMPLEX_JSON",
     .help = "Standard output for machines: an object a line, {\"online\":{...}} for a service and "
             "else a visit."},
    {0},
};

const struct settings_table connect_table = {
    .command = "connect",
    .arguments = "",
    .summary =
        "Puts a service of this machine on the Internet, through a tunnel to a streamplex server: "
        "prints \"NAME - URL\" and then a line a visit. Reconnects for ever. Without a token, the "
        "login of `streamplex login` makes a socket, which is deleted at the end. Exit status: 0 "
        "(ended "
        "by a signal), 1 (wrong use, or a fault of this machine), 2 (wrong token, or not logged "
        "in), 3 (server not "
        "reached, with --once), 4 (server not trusted), 5 (service refused: its name isn't ours, "
        "say), 6 (the server has no edge).",
    .settings = settings,
    .size = sizeof(struct connect_settings),
};

static int read_services_file(struct connect_request *request, const char *machine, char *error,
                              size_t error_size)
{
    const char *path = request->settings.services_file;
    size_t before = request->services.count, length;
    char *text;

    int result = settings_read_text(path, SERVICES_FILE_MAX, &text, &length);
    if (result < 0) {
        snprintf(error, error_size, "%s: %s", path, strerror(-result));
        return -1;
    }
    result = service_list_parse(&request->services, text, length, path, machine, error, error_size);
    free(text);
    if (result == 0 && request->services.count == before) {
        snprintf(error, error_size, "%s: there is no service in it", path);
        result = -1;
    }
    return result;
}

/* The one that the flags describe, if they do. With a file alone they say nothing of a place. */
static int add_own_service(struct connect_request *request, const char *machine, char *error,
                           size_t error_size)
{
    struct service_settings *own = &request->settings.service;

    if (request->settings.services_file && !own->port && !own->unix_path && !own->folder)
        return 0;
    return service_list_add(&request->services, own, NULL, machine, error, error_size);
}

/* A token tells who we are, and else a login does: what is an account's alone goes with a login. */
static int read_reach(struct connect_request *request, char *error, size_t error_size)
{
    const struct connect_settings *given = &request->settings;

    request->with_login = !given->reach.token && !given->reach.token_file;
    if (request->with_login)
        return 0;
    if (access_settings_any(&given->access)) {
        snprintf(error, error_size,
                 "--description, --protected, --allow, --deny, --client-ca, --rate, --visitor-rate "
                 "and --max-connections go with a login, not with a token");
        return -1;
    }
    return reach_read(&request->reach, &given->reach, error, error_size);
}

int connect_request_read(struct connect_request *request, int argc, char **argv,
                         const char *machine, char *error, size_t error_size)
{
    memset(request, 0, sizeof *request);
    int result = settings_read(&connect_table, argc, argv, &request->settings, NULL, NULL, error,
                               error_size);
    if (result == 0)
        result = add_own_service(request, machine, error, error_size);
    if (result == 0 && request->settings.services_file)
        result = read_services_file(request, machine, error, error_size);
    if (result == 0)
        result = read_reach(request, error, error_size);
    return result;
}

void connect_request_deinit(struct connect_request *request)
{
    reach_deinit(&request->reach);
    service_list_deinit(&request->services);
    settings_free(&connect_table, &request->settings);
}
