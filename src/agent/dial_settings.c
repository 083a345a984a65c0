#include "agent/dial_settings.h"

#include <ctype.h>
#include <errno.h>
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
    {.name = "server",
     .type = SETTING_TEXT,
     .offset = AT(server),
     .environment = "STREAMPLEX_SERVER",
     .reference = "PROXY_HOST",
     .placeholder = "HOST[:PORT]",
     .help = "The server that the tunnel goes to. Its certificate has to be for this name."},
    {.name = "server-port",
     .type = SETTING_NUMBER,
     .offset = AT(server_port),
     .fallback = "5005",
     .environment = "STREAMPLEX_SERVER_PORT",
     .reference = "PROXY_PORT",
     .placeholder = "PORT",
     .help = "The server's port where --server has none.",
     .least = 1,
     .most = UINT16_MAX},
    {.name = "token",
     .type = SETTING_TEXT,
     .offset = AT(token),
     .environment = "STREAMPLEX_TOKEN",
     .reference = "PROXY_TOKEN TM_API_KEY",
     .placeholder = "TOKEN",
     .help = "The token that proves who we are. On the command line other users of this machine "
             "can see it: better use --token-file or the environment.",
     .secret = true},
    {.name = "token-file",
     .type = SETTING_TEXT,
     .offset = AT(token_file),
     .environment = "STREAMPLEX_TOKEN_FILE",
     .placeholder = "FILE",
     .help = "A file whose first line is the token. Goes before --token."},
    {.name = "ca",
     .type = SETTING_TEXT,
     .offset = AT(ca),
     .environment = "STREAMPLEX_CA",
     .placeholder = "FILE",
     .help = "PEM certificates trusted for the server, instead of the system's."},
    {.name = "ca-pem",
     .type = SETTING_TEXT,
     .offset = AT(ca_pem),
     .environment = "STREAMPLEX_CA_PEM",
     .reference = "PROXY_CERT",
     .placeholder = "PEM",
     .help = "The same as text, not as a file's name. --ca goes before it."},
    {.name = "pin",
     .type = SETTING_TEXT,
     .offset = AT(pin),
     .environment = "STREAMPLEX_PIN",
     .placeholder = "sha256:HEX",
     .help = "Trusts the one server whose certificate, or public key, has this SHA-256; neither "
             "its name nor who signed it is looked at then."},
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

/* The first line without its end. */
static int read_token_file(const char *path, char **ret_token, char *error, size_t error_size)
{
    /* One more than is allowed, so that a longer line is seen to be too long; and the line's end.
     */
    char line[PLEX_TOKEN_MAX + 3];
    FILE *file = fopen(path, "re");
    char *got = file ? fgets(line, sizeof line, file) : NULL;

    if (!got) {
        bool empty = file && feof(file);
        snprintf(error, error_size, "token file %s: %s", path, empty ? "empty" : strerror(errno));
    }
    if (file)
        fclose(file);
    if (!got)
        return -1;
    line[strcspn(line, "\r\n")] = '\0';
    *ret_token = strdup(line);
    explicit_bzero(line, sizeof line);
    if (*ret_token)
        return 0;
    snprintf(error, error_size, "out of memory");
    return -1;
}

static int find_token(struct dial_request *request, char *error, size_t error_size)
{
    const struct dial_settings *given = &request->settings;

    if (given->token_file) {
        if (read_token_file(given->token_file, &request->token, error, error_size) < 0)
            return -1;
    } else if (given->token) {
        request->token = strdup(given->token);
    } else {
        snprintf(error, error_size, "no token: give --token-file or --token, or set PROXY_TOKEN");
        return -1;
    }
    size_t length = request->token ? strlen(request->token) : 0;
    if (length >= 1 && length <= PLEX_TOKEN_MAX)
        return 0;
    snprintf(error, error_size, "the token has to have 1 to %d bytes", PLEX_TOKEN_MAX);
    return -1;
}

static int find_pin(struct dial_request *request, char *error, size_t error_size)
{
    const char *pin = request->settings.pin;
    size_t digits = 0;

    if (!pin)
        return 0;
    if (strncmp(pin, "sha256:", 7) == 0)
        while (isxdigit((unsigned char)pin[7 + digits]))
            digits++;
    if (digits != 64 || pin[7 + digits]) {
        snprintf(error, error_size, "--pin has to be sha256: and 64 hex digits");
        return -1;
    }
    request->pin_sha256 = pin + 7;
    return 0;
}

/* "HOST:PORT", or "HOST" "PORT" as for nc (and ssh's %h %p, where %h may be an IPv6 address). */
static int find_target(struct dial_request *request, char **arguments, int count, char *error,
                       size_t error_size)
{
    char joined[PLEX_HOST_MAX + 16];
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

static int find_server(struct dial_request *request, char *error, size_t error_size)
{
    const struct dial_settings *given = &request->settings;

    if (!given->server) {
        snprintf(error, error_size, "no server: give --server or set PROXY_HOST");
        return -1;
    }
    if (endpoint_parse(given->server, (uint16_t)given->server_port, &request->server) == 0)
        return 0;
    snprintf(error, error_size, "\"%.80s\" is not a server's HOST[:PORT]", given->server);
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
        result = find_server(request, error, error_size);
    if (result == 0)
        result = find_token(request, error, error_size);
    if (result == 0)
        result = find_pin(request, error, error_size);
    free(arguments);
    return result;
}

void dial_request_deinit(struct dial_request *request)
{
    if (request->token)
        explicit_bzero(request->token, strlen(request->token));
    free(request->token);
    settings_free(&dial_table, &request->settings);
}
