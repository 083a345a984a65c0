#include "base/reach_settings.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first line without its end. */
static int read_token_file(const char *path, char *error, size_t error_size, char **ret_token)
{
    /* One more than is allowed, so that a longer line is seen to be too long; and the line's end.
     */
    char line[REACH_TOKEN_MAX + 3];
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
    return 0;
}

static void free_token(char *token)
{
    if (token)
        explicit_bzero(token, strlen(token));
    free(token);
}

int reach_find_token(const struct reach_settings *settings, char *error, size_t error_size,
                     char **ret_token)
{
    char *token = NULL;

    if (settings->token_file) {
        if (read_token_file(settings->token_file, error, error_size, &token) < 0)
            return -1;
    } else if (settings->token) {
        token = strdup(settings->token);
    } else {
        snprintf(error, error_size, "no token: give --token-file or --token, or set PROXY_TOKEN");
        return -1;
    }
    if (!token) {
        snprintf(error, error_size, "out of memory");
        return -1;
    }
    size_t length = strlen(token);
    if (length < 1 || length > REACH_TOKEN_MAX) {
        snprintf(error, error_size, "the token has to have 1 to %d bytes", REACH_TOKEN_MAX);
        free_token(token);
        return -1;
    }
    *ret_token = token;
    return 0;
}

int reach_find_pin(const struct reach_settings *settings, char *error, size_t error_size,
                   const char **ret_digits)
{
    const char *pin = settings->pin;
    size_t digits = 0;

    if (!pin) {
        *ret_digits = NULL;
        return 0;
    }
    if (strncmp(pin, "sha256:", 7) == 0)
        while (isxdigit((unsigned char)pin[7 + digits]))
            digits++;
    if (digits != 64 || pin[7 + digits]) {
        snprintf(error, error_size, "--pin has to be sha256: and 64 hex digits");
        return -1;
    }
    *ret_digits = pin + 7;
    return 0;
}

int reach_find_server(const struct reach_settings *settings, char *error, size_t error_size,
                      struct endpoint *ret_server)
{
    if (!settings->server) {
        snprintf(error, error_size, "no server: give --server or set PROXY_HOST");
        return -1;
    }
    if (endpoint_parse(settings->server, (uint16_t)settings->server_port, ret_server) == 0)
        return 0;
    snprintf(error, error_size, "\"%.80s\" is not a server's HOST[:PORT]", settings->server);
    return -1;
}

int reach_read(struct reach *reach, const struct reach_settings *settings, char *error,
               size_t error_size)
{
    reach->ca_file = settings->ca;
    reach->ca_pem = settings->ca ? NULL : settings->ca_pem;
    int result = reach_find_server(settings, error, error_size, &reach->server);
    if (result == 0)
        result = reach_find_token(settings, error, error_size, &reach->token);
    if (result == 0)
        result = reach_find_pin(settings, error, error_size, &reach->pin_sha256);
    return result;
}

void reach_deinit(struct reach *reach)
{
    free_token(reach->token);
    reach->token = NULL;
}
