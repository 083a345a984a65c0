#include "agent/announce.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "streamplex.h"

static int add_text(json_t *object, const char *key, const char *text)
{
    return text ? json_object_set_new(object, key, json_string(text)) : 0;
}

static int fill(json_t *object, const struct service *service, const char *instance)
{
    const struct service_settings *settings = &service->settings;
    int failed =
        add_text(object, "service", service->name) | add_text(object, "name", service->name);

    failed |= add_text(object, "type", service_types[settings->type]);
    failed |= add_text(object, "instance", instance);
    failed |= add_text(object, "hostname", settings->hostname);
    if (settings->https_only)
        failed |= json_object_set_new(object, "https_only", json_true());
    failed |= add_text(object, "host_header", settings->host_header);
    return failed;
}

size_t announce_register(const struct service *service, const char *instance, char *buffer,
                         size_t capacity)
{
    json_t *object = json_object(), *message = json_object();
    size_t length = 0;

    if (object && fill(object, service, instance) == 0 &&
        json_object_set(message, "register", object) == 0)
        length = json_dumpb(message, buffer, capacity, JSON_COMPACT);
    json_decref(object);
    json_decref(message);
    return length <= capacity ? length : 0;
}

/* False: there is no such text. */
static bool copy_text(const char *value, char *buffer, size_t size)
{
    if (plex_json_copy(value, buffer, size) < 0)
        return false;
    for (; *buffer; buffer++)
        if ((unsigned char)*buffer < ' ' || *buffer == 0x7f)
            *buffer = '?';
    return true;
}

static bool read_registered(const char *object, struct announce_answer *answer)
{
    union {
        const char *all[5];
        struct {
            const char *service, *type, *hostname, *port, *url;
        };
    } values;
    uint64_t port;

    if (!plex_json_read(object, "service\0type\0hostname\0port\0url\0", values.all) ||
        !copy_text(values.service, answer->service, sizeof answer->service) ||
        !copy_text(values.url, answer->url, sizeof answer->url))
        return false;
    copy_text(values.type, answer->type, sizeof answer->type);
    copy_text(values.hostname, answer->hostname, sizeof answer->hostname);
    if (plex_json_whole(values.port, UINT16_MAX, &port))
        answer->port = (uint16_t)port;
    return true;
}

static bool read_refused(const char *object, struct announce_answer *answer)
{
    union {
        const char *all[3];
        struct {
            const char *service, *code, *message;
        };
    } values;

    if (!plex_json_read(object, "service\0code\0message\0", values.all) ||
        !copy_text(values.code, answer->code, sizeof answer->code))
        return false;
    copy_text(values.service, answer->service, sizeof answer->service);
    if (!copy_text(values.message, answer->message, sizeof answer->message))
        snprintf(answer->message, sizeof answer->message, "%s", answer->code);
    return true;
}

void announce_read(const char *json, struct announce_answer *ret_answer)
{
    union {
        const char *all[2];
        struct {
            const char *registered, *refused;
        };
    } kinds;

    *ret_answer = (struct announce_answer){.kind = ANNOUNCE_OTHER};
    if (!plex_json_read(json, "registered\0refused\0", kinds.all))
        return;
    if (kinds.registered) {
        if (read_registered(kinds.registered, ret_answer))
            ret_answer->kind = ANNOUNCE_REGISTERED;
    } else if (kinds.refused) {
        if (read_refused(kinds.refused, ret_answer))
            ret_answer->kind = ANNOUNCE_REFUSED;
    }
}
