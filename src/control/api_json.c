#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "control/api_internal.h"

/* What we ask for is an object with lists in it. */
#define DEPTH_MAX 8
/* Items of a list: more than any rule list may have. */
#define LIST_MAX 256

/* --- Parsing --- */

/* Before the parser recurses. Brackets in strings don't count. */
static bool is_deep(const char *text, size_t length)
{
    int depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < length; i++) {
        char byte = text[i];
        if (in_string && byte == '\\')
            i++;
        else if (byte == '"')
            in_string = !in_string;
        else if (!in_string && (byte == '{' || byte == '['))
            depth++;
        else if (!in_string && (byte == '}' || byte == ']'))
            depth--;
        if (depth > DEPTH_MAX)
            return true;
    }
    return false;
}

int api_json_parse(const char *text, size_t length, json_t **ret_object, char *reason, size_t size)
{
    json_error_t error;
    json_t *object = NULL;
    if (is_deep(text, length))
        snprintf(reason, size, "the body is nested more than %d deep", DEPTH_MAX);
    else if (!length)
        object = json_object();
    else
        object = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
    if (!object) {
        if (length && !is_deep(text, length))
            /* jansson's own words quote what was sent. */
            snprintf(reason, size, "the body isn't JSON: a fault in line %d, column %d%s",
                     error.line, error.column,
                     json_error_code(&error) == json_error_duplicate_key
                         ? " (a key that is there twice)"
                         : "");
        return -1;
    }
    if (!json_is_object(object)) {
        snprintf(reason, size, "the body must be a JSON object");
        json_decref(object);
        return -1;
    }
    *ret_object = object;
    return 0;
}

/* --- Values --- */

void api_values_fault(struct api_values *values, const char *format, ...)
{
    if (values->fault[0])
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(values->fault, sizeof values->fault, format, arguments);
    va_end(arguments);
}

/* NULL: not there, or null. */
static const json_t *get(const struct api_values *values, const char *key)
{
    const json_t *value = json_object_get(values->object, key);
    return json_is_null(value) ? NULL : value;
}

bool api_values_has(const struct api_values *values, const char *key)
{
    return get(values, key) != NULL;
}

const char *api_values_text(struct api_values *values, const char *key, size_t least, size_t most)
{
    const json_t *value = get(values, key);
    if (!value)
        return NULL;
    if (!json_is_string(value)) {
        api_values_fault(values, "%s must be a text", key);
        return NULL;
    }
    size_t length = json_string_length(value);
    if (length < least || length > most) {
        api_values_fault(values, "%s must have %zu to %zu bytes", key, least, most);
        return NULL;
    }
    return json_string_value(value);
}

const char *api_values_line(struct api_values *values, const char *key, size_t least, size_t most)
{
    const char *text = api_values_text(values, key, least, most);
    if (!text || utf8_is_clean(text))
        return text;
    api_values_fault(values, "%s must not hold control characters", key);
    return NULL;
}

const char *api_values_needed_text(struct api_values *values, const char *key, size_t least,
                                   size_t most)
{
    if (!api_values_has(values, key))
        api_values_fault(values, "%s is missing", key);
    return api_values_text(values, key, least, most);
}

const char *api_values_needed_line(struct api_values *values, const char *key, size_t least,
                                   size_t most)
{
    if (!api_values_has(values, key))
        api_values_fault(values, "%s is missing", key);
    return api_values_line(values, key, least, most);
}

void api_values_flag(struct api_values *values, const char *key, bool *ret_flag)
{
    const json_t *value = get(values, key);
    if (value && !json_is_boolean(value))
        api_values_fault(values, "%s must be true or false", key);
    else if (value)
        *ret_flag = json_is_true(value);
}

void api_values_number(struct api_values *values, const char *key, uint64_t most,
                       uint64_t *ret_number)
{
    const json_t *value = get(values, key);
    if (!value)
        return;
    json_int_t number = json_integer_value(value);
    if (!json_is_integer(value))
        api_values_fault(values, "%s must be a number without a fraction", key);
    else if (number < 0 || (uint64_t)number > most)
        api_values_fault(values, "%s must be a number of 0 to %llu", key, (unsigned long long)most);
    else
        *ret_number = (uint64_t)number;
}

void api_values_number32(struct api_values *values, const char *key, uint32_t *ret_number)
{
    uint64_t number = *ret_number;
    api_values_number(values, key, UINT32_MAX, &number);
    *ret_number = (uint32_t)number;
}

/* The length of the whole with commas, or -1 with a fault. */
static long measure(struct api_values *values, const char *key, const json_t *list, size_t most)
{
    size_t length = 0;
    if (!json_is_array(list) || json_array_size(list) > LIST_MAX) {
        api_values_fault(values, "%s must be a list of at most %d texts", key, LIST_MAX);
        return -1;
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        const char *text = json_string_value(item);
        if (!text || !*text || !utf8_is_clean(text) || strchr(text, ',')) {
            api_values_fault(
                values, "%s must be a list of texts without commas and control characters", key);
            return -1;
        }
        length += json_string_length(item) + 1;
    }
    if (length > most) {
        api_values_fault(values, "%s must have at most %zu bytes in all", key, most);
        return -1;
    }
    return (long)length;
}

char *api_values_joined(struct api_values *values, const char *key, size_t most)
{
    const json_t *list = get(values, key);
    long length = list ? measure(values, key, list, most) : -1;
    if (length < 0)
        return NULL;
    char *joined = malloc((size_t)length + 1), *at = joined;
    if (!joined) {
        api_values_fault(values, "%s couldn't be read: out of memory", key);
        return NULL;
    }
    *joined = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        if (i)
            *at++ = ',';
        memcpy(at, json_string_value(item), json_string_length(item) + 1);
        at += json_string_length(item);
    }
    return joined;
}

bool api_values_refuse(const struct api_values *values, struct api_call *call)
{
    if (values->fault[0])
        api_answer_error(call, 422, "BAD_VALUE", 0, "%s", values->fault);
    return values->fault[0];
}
