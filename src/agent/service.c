#include "agent/service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/endpoint.h"
#include "base/utf8.h"

const char *const service_types[] = {"https", "http", "tls", "tcp", "passthrough", NULL};
const char *const service_proxy_versions[] = {"none", "v1", "v2", NULL};

static const struct setting settings[] = {
    SERVICE_SETTINGS(0),
    {0},
};

const struct settings_table service_table = {
    .command = "connect",
    .arguments = "",
    .summary = "",
    .settings = settings,
    .size = sizeof(struct service_settings),
};

int service_check_host(const char *text, char *error, size_t error_size)
{
    size_t length = strlen(text);
    bool is_fine = length <= ENDPOINT_HOST_MAX;

    for (size_t i = 0; i < length && is_fine; i++)
        is_fine = text[i] > ' ' && text[i] <= '~' && !strchr("\"/\\,;@", text[i]);
    if (is_fine)
        return 0;
    snprintf(error, error_size, "\"%.80s\" can't be a host", text);
    return -1;
}

int service_check_unix(const char *text, char *error, size_t error_size)
{
    size_t most = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;

    if (strlen(text) <= most)
        return 0;
    snprintf(error, error_size, "a Unix socket's path has at most %zu bytes", most);
    return -1;
}

int service_check_name(const char *text, char *error, size_t error_size)
{
    size_t length = strlen(text);

    if (length > SERVICE_NAME_MAX) {
        snprintf(error, error_size, "a name has at most %d bytes", SERVICE_NAME_MAX);
        return -1;
    }
    /* It goes into JSON, logs and terminals. */
    if (utf8_is_clean(text))
        return 0;
    snprintf(error, error_size, "a name is UTF-8 without control characters");
    return -1;
}

struct service *service_list_find(const struct service_list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i].name, name) == 0)
            return &list->items[i];
    return NULL;
}

void service_list_deinit(struct service_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        settings_free(&service_table, &list->items[i].settings);
    free(list->items);
    *list = (struct service_list){0};
}

/* What a table can't say: which settings go together. NULL, or what is wrong. */
static const char *find_contradiction(const struct service_settings *service)
{
    int places = (service->port != 0) + (service->unix_path != NULL) + (service->folder != NULL);
    bool is_http = service->type == SERVICE_HTTP || service->type == SERVICE_HTTPS;

    if (places == 0)
        return "there is no service: give --port, --unix or --dir";
    if (places > 1)
        return "--port, --unix and --dir exclude each other";
    if (service->folder && !is_http)
        return "--dir is served over HTTP: --type has to be http or https";
    if (service->folder && (service->upstream_tls || service->upstream_insecure ||
                            service->proxy_protocol != PROXY_NONE))
        return "--dir needs neither --upstream-tls nor --proxy-protocol";
    if (!is_http && (service->https_only || service->host_header))
        return "--https-only and --host-header are for --type http and https";
    if ((service->type == SERVICE_TLS || service->type == SERVICE_TCP) && service->hostname)
        return "--hostname is for services found by name; tls and tcp have a port";
    if (service->type == SERVICE_PASSTHROUGH &&
        (service->upstream_tls || service->upstream_insecure))
        return "a passthrough service does TLS with its visitors: no --upstream-tls";
    return NULL;
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

/* "laptop-8080", "laptop-app.sock"; cut between characters where it is too long. */
static void make_name(const struct service_settings *service, const char *machine,
                      char name[SERVICE_NAME_MAX + 1])
{
    char long_name[512];

    if (service->port)
        snprintf(long_name, sizeof long_name, "%.60s-%u", machine, (unsigned)service->port);
    else
        snprintf(long_name, sizeof long_name, "%.60s-%s", machine,
                 last_part(service->folder ? service->folder : service->unix_path));
    size_t length = strnlen(long_name, SERVICE_NAME_MAX);
    while (length && long_name[length] && ((unsigned char)long_name[length] & 0xc0) == 0x80)
        length--;
    memcpy(name, long_name, length);
    name[length] = '\0';
}

static int check(const struct service_list *list, struct service *service, const char *name,
                 const char *machine, char *error, size_t error_size)
{
    const char *wrong = find_contradiction(&service->settings);

    if (wrong) {
        snprintf(error, error_size, "%s", wrong);
        return -1;
    }
    if (list->count >= SERVICES_MAX) {
        snprintf(error, error_size, "a tunnel carries at most %d services", SERVICES_MAX);
        return -1;
    }
    if (service->settings.name)
        name = service->settings.name;
    if (name)
        snprintf(service->name, sizeof service->name, "%s", name);
    else
        make_name(&service->settings, machine, service->name);
    if (service_check_name(service->name, error, error_size) < 0)
        return -1;
    if (!service_list_find(list, service->name))
        return 0;
    snprintf(error, error_size, "there are two services with the name \"%s\"", service->name);
    return -1;
}

int service_list_add(struct service_list *list, struct service_settings *given, const char *name,
                     const char *machine, char *error, size_t error_size)
{
    struct service service = {.settings = *given};
    struct service *items = NULL;

    *given = (struct service_settings){0};
    if (check(list, &service, name, machine, error, error_size) == 0) {
        items = realloc(list->items, (list->count + 1) * sizeof *items);
        if (!items)
            snprintf(error, error_size, "out of memory");
    }
    if (!items) {
        settings_free(&service_table, &service.settings);
        return -1;
    }
    list->items = items;
    list->items[list->count++] = service;
    return 0;
}
