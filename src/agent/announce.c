#include "agent/announce.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
static bool copy_text(const json_t *object, const char *key, char *buffer, size_t size)
{
    const char *text = json_string_value(json_object_get(object, key));

    if (!text)
        return false;
    size_t length = strnlen(text, size - 1);
    while (text[length] && length && ((unsigned char)text[length] & 0xc0) == 0x80)
        length--; /* never half of a character */
    for (size_t i = 0; i < length; i++)
        buffer[i] = (unsigned char)text[i] < ' ' || text[i] == 0x7f ? '?' : text[i];
    buffer[length] = '\0';
    return true;
}

static bool read_registered(const json_t *object, struct announce_answer *answer)
{
    json_int_t port = json_integer_value(json_object_get(object, "port"));

    if (!copy_text(object, "service", answer->service, sizeof answer->service) ||
        !copy_text(object, "url", answer->url, sizeof answer->url))
        return false;
    copy_text(object, "type", answer->type, sizeof answer->type);
    copy_text(object, "hostname", answer->hostname, sizeof answer->hostname);
    if (port > 0 && port <= UINT16_MAX)
        answer->port = (uint16_t)port;
    return true;
}

static bool read_refused(const json_t *object, struct announce_answer *answer)
{
    if (!copy_text(object, "code", answer->code, sizeof answer->code))
        return false;
    copy_text(object, "service", answer->service, sizeof answer->service);
    if (!copy_text(object, "message", answer->message, sizeof answer->message))
        snprintf(answer->message, sizeof answer->message, "%s", answer->code);
    return true;
}

void announce_parse(const char *json, size_t length, struct announce_answer *ret_answer)
{
    json_t *message = json_loadb(json, length, 0, NULL), *object;

    *ret_answer = (struct announce_answer){.kind = ANNOUNCE_OTHER};
    if ((object = json_object_get(message, "registered"))) {
        if (read_registered(object, ret_answer))
            ret_answer->kind = ANNOUNCE_REGISTERED;
    } else if ((object = json_object_get(message, "refused"))) {
        if (read_refused(object, ret_answer))
            ret_answer->kind = ANNOUNCE_REFUSED;
    } else if (json_is_object(json_object_get(message, "visit"))) {
        ret_answer->kind = ANNOUNCE_VISIT;
    }
    json_decref(message);
}
