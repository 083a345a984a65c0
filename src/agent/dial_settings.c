#include "agent/dial_settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/dial.h"

#define AT(field) offsetof(struct dial_settings, field)

static const struct setting settings[] = {
    {.name = "help", .type = SETTING_FLAG, .offset = AT(help), .help = "Prints this help."},
    {.name = "config",
     .type = SETTING_TEXT,
     .offset = AT(config_file),
     .environment = "STREAMPLEX_CONFIG",
     .placeholder = "FILE",
     .help = "An INI file with these settings, in a section [dial]."},
    REACH_SETTINGS(AT(reach)),
    {.name = "tls",
     .type = SETTING_FLAG,
     .offset = AT(tls),
     .environment = "STREAMPLEX_TLS",
     .help = "The server does TLS with the target, and verifies it; plain bytes here."},
    {.name = "timeout",
     .type = SETTING_DURATION,
     .offset = AT(timeout),
     .fallback = "30s",
     .environment = "STREAMPLEX_TIMEOUT",
     .placeholder = "DURATION",
     .help = "How long server and target may take until the target is connected; 0: for ever."},
    {.name = "legacy",
     .type = SETTING_FLAG,
     .offset = AT(legacy),
     .environment = "STREAMPLEX_LEGACY",
     .help = "Speaks as old devices do, asking for no extension."},
    {.name = "verbose",
     .type = SETTING_FLAG,
     .offset = AT(verbose),
     .environment = "STREAMPLEX_VERBOSE",
     .help = "Tells each step on standard error."},
    {0},
};

const struct settings_table dial_table = {
    .command = "dial",
    .arguments = "HOST:PORT",
    .summary = "Opens a tunnel to a streamplex server, has it connect to HOST:PORT, and joins that "
               "connection to standard input and output, as nc does. The end of the input "
               "is passed on; the program ends when both directions have. Exit status: 0, 1 (the "
               "target's fault), 2 (the tunnel's).",
    .settings = settings,
    .size = sizeof(struct dial_settings),
};

/* "HOST:PORT", or "HOST" "PORT" as for nc (and ssh's %h %p, where %h may be an IPv6 address). */
static int find_target(struct dial_request *request, char **arguments, int count, char *error,
                       size_t error_size)
{
    char joined[ENDPOINT_HOST_MAX + 16];
    const char *text = count > 0 ? arguments[0] : NULL;

    if (count < 1 || count > 2) {
        snprintf(error, error_size, count ? "one target at a time" : "no target: give HOST:PORT");
        return -1;
    }
    if (count == 2) {
        const char *format = strchr(text, ':') && text[0] != '[' ? "[%s]:%s" : "%s:%s";
        int length = snprintf(joined, sizeof joined, format, text, arguments[1]);
        text = length < (int)sizeof joined ? joined : "";
    }
    if (endpoint_parse(text, 0, &request->target) == 0)
        return 0;
    snprintf(error, error_size, "\"%.80s\" is not HOST:PORT (an IPv6 address: [HOST]:PORT)",
             arguments[0]);
    return -1;
}

int dial_request_read(struct dial_request *request, int argc, char **argv, char *error,
                      size_t error_size)
{
    char **arguments = NULL;
    int count = 0;

    memset(request, 0, sizeof *request);
    int result = settings_read(&dial_table, argc, argv, &request->settings, &arguments, &count,
                               error, error_size);
    if (result == 0)
        result = find_target(request, arguments, count, error, error_size);
    if (result == 0)
        result = reach_read(&request->reach, &request->settings.reach, error, error_size);
    free(arguments);
    return result;
}

void dial_request_deinit(struct dial_request *request)
{
    reach_deinit(&request->reach);
    settings_free(&dial_table, &request->settings);
}
