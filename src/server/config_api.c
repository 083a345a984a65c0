#include "server/config_api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(char *error, size_t error_size, const char *sentence)
{
    snprintf(error, error_size, "%s", sentence);
    return -1;
}

static int load_addresses(struct config *config)
{
    const struct setting_list *list = &config->settings.api;
    config->api = calloc(list->count + 1, sizeof *config->api);
    if (!config->api)
        return -1;
    for (size_t i = 0; i < list->count; i++)
        if (address_parse(list->items[i], &config->api[i]) < 0)
            return -1;
    config->api_count = list->count;
    return 0;
}

int config_api_load(struct config *config, char *error, size_t error_size)
{
    const struct serve_settings *settings = &config->settings;
    if (load_addresses(config) < 0)
        return fail(error, error_size, "out of memory");
    config->api_on = config->api_count > 0;
    config->accounts_on = config->edge_on || config->api_on;
    if (settings->smtp_url && !settings->smtp_from)
        return fail(error, error_size, "smtp-url is given without smtp-from");
    if (!config->api_on || !config->edge_on)
        return 0;
    if (asprintf(&config->api_host, "api.%s", settings->edge_domain) < 0) {
        config->api_host = NULL;
        return fail(error, error_size, "out of memory");
    }
    config->edge.api_host = config->api_host;
    return 0;
}

int config_api_finish(struct config *config, char *error, size_t error_size)
{
    const struct serve_settings *settings = &config->settings;
    const char *path = settings->admin_socket;
    if (!config->accounts_on || (path && !strcmp(path, "none")))
        return 0;
    int length = path ? asprintf(&config->admin_socket, "%s", path)
                      : asprintf(&config->admin_socket, "%s/admin.sock", settings->state_folder);
    if (length >= 0)
        return 0;
    config->admin_socket = NULL;
    return fail(error, error_size, "out of memory");
}

void config_api_deinit(struct config *config)
{
    free(config->api);
    free(config->admin_socket);
    free(config->api_host);
}

static void format_url(const char *host, uint16_t port, char *buffer, size_t size)
{
    if (port == 443)
        snprintf(buffer, size, "https://%s", host);
    else
        snprintf(buffer, size, "https://%s:%u", host, port);
}

void config_api_url(const struct config *config, const union address *listener, char *buffer,
                    size_t size)
{
    char text[ADDRESS_TEXT_MAX];
    const char *given = config->settings.api_url;
    if (given)
        snprintf(buffer, size, "%.*s", (int)(strlen(given) - (given[strlen(given) - 1] == '/')),
                 given);
    else if (config->api_host && config->edge.https_port)
        format_url(config->api_host, config->edge.https_port, buffer, size);
    else
        snprintf(buffer, size, "https://%s",
                 listener ? address_format(listener, text) : "localhost");
}
