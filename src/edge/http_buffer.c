#include "edge/http_buffer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 1024

static bool reserve(struct http_buffer *buffer, size_t more)
{
    size_t need = buffer->length + more;
    if (buffer->failed || need <= buffer->capacity)
        return !buffer->failed;
    size_t capacity = buffer->capacity ? buffer->capacity : FIRST_CAPACITY;
    while (capacity < need)
        capacity *= 2;
    char *grown = realloc(buffer->bytes, capacity);
    if (!grown) {
        buffer->failed = true;
        return false;
    }
    buffer->bytes = grown;
    buffer->capacity = capacity;
    return true;
}

void http_buffer_add(struct http_buffer *buffer, struct http_text text)
{
    if (!text.length || !reserve(buffer, text.length))
        return;
    memcpy(buffer->bytes + buffer->length, text.at, text.length);
    buffer->length += text.length;
}

void http_buffer_puts(struct http_buffer *buffer, const char *string)
{
    http_buffer_add(buffer, http_text_of(string));
}

void http_buffer_number(struct http_buffer *buffer, unsigned long long number)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%llu", number);
    http_buffer_puts(buffer, digits);
}

void http_buffer_field(struct http_buffer *buffer, const char *name, struct http_text value)
{
    http_buffer_puts(buffer, name);
    http_buffer_puts(buffer, ": ");
    http_buffer_add(buffer, value);
    http_buffer_puts(buffer, "\r\n");
}

void http_buffer_deinit(struct http_buffer *buffer)
{
    free(buffer->bytes);
    *buffer = (struct http_buffer){0};
}
