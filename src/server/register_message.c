#include "server/register_message.h"

#include <jansson.h>
#include <string.h>

/* Control characters of ASCII and, after 0xc2, of Latin 1: names end up in terminals and logs. */
static bool is_plain(const char *text)
{
    for (const unsigned char *at = (const unsigned char *)text; *at; at++)
        if (*at < 0x20 || *at == 0x7f || (*at == 0xc2 && at[1] < 0xa0))
            return false;
    return true;
}

/* A string of 1 to capacity - 1 bytes. jansson has seen to UTF-8, and takes no NUL. */
static bool copy_text(const json_t *value, char *buffer, size_t capacity)
{
    size_t length = json_string_length(value);
    if (!json_is_string(value) || !length || length >= capacity ||
        !is_plain(json_string_value(value)))
        return false;
    memcpy(buffer, json_string_value(value), length + 1);
    return true;
}

static bool copy_optional(const json_t *value, char *buffer, size_t capacity)
{
    return !value || copy_text(value, buffer, capacity);
}

/* It becomes a line of a request's head. */
static bool is_header_value(const char *text)
{
    for (; *text; text++)
        if (*text < 0x21 || *text > 0x7e)
            return false;
    return true;
}

/* What is wrong, or NULL. */
static const char *read_rest(const json_t *object, struct register_message *message)
{
    const json_t *https_only = json_object_get(object, "https_only");
    if (!copy_text(json_object_get(object, "name"), message->name, sizeof message->name))
        return "name must be a text of 1 to 64 bytes without control characters";
    if (!copy_text(json_object_get(object, "type"), message->type, sizeof message->type))
        return "type must be http, https, tls, tcp or passthrough";
    if (!copy_text(json_object_get(object, "instance"), message->instance,
                   sizeof message->instance))
        return "instance must be a text of 1 to 64 bytes without control characters";
    if (!copy_optional(json_object_get(object, "hostname"), message->hostname,
                       sizeof message->hostname))
        return "hostname must be a text of 1 to 253 bytes without control characters";
    if (!copy_optional(json_object_get(object, "host_header"), message->host_header,
                       sizeof message->host_header) ||
        !is_header_value(message->host_header))
        return "host_header must be 1 to 253 printable characters without a space";
    if (https_only && !json_is_boolean(https_only))
        return "https_only must be true or false";
    message->https_only = json_is_true(https_only);
    return NULL;
}

static enum register_result read_object(const json_t *object, struct register_message *message,
                                        const char **ret_fault)
{
    if (!copy_text(json_object_get(object, "service"), message->service, sizeof message->service))
        return REGISTER_NO_SERVICE;
    const char *fault = read_rest(object, message);
    if (!fault)
        return REGISTER_GOOD;
    *ret_fault = fault;
    return REGISTER_BAD;
}

enum register_result register_message_parse(const char *json, size_t length,
                                            struct register_message *ret_message,
                                            const char **ret_fault)
{
    struct register_message message = {0};
    /* The engine has checked the text; what jansson alone refuses, such as a number beyond its
     * range or a key that is there twice, is no message of ours. */
    json_t *root = json_loadb(json, length, JSON_REJECT_DUPLICATES, NULL);
    const json_t *object = json_object_get(root, "register");
    enum register_result result = REGISTER_OTHER;
    if (object)
        result = read_object(object, &message, ret_fault);
    if (result == REGISTER_GOOD || result == REGISTER_BAD)
        *ret_message = message;
    json_decref(root);
    return result;
}
