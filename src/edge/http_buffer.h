/* Text that grows while a head is written. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "edge/http_text.h"

/* A zeroed struct is empty. Without memory `failed` is set and stays so: ask once, at the end. */
struct http_buffer {
    char *bytes;
    size_t length, capacity;
    bool failed;
};

void http_buffer_add(struct http_buffer *buffer, struct http_text text);
void http_buffer_puts(struct http_buffer *buffer, const char *string);
void http_buffer_number(struct http_buffer *buffer, unsigned long long number);
/* "Name: value" and CRLF. */
void http_buffer_field(struct http_buffer *buffer, const char *name, struct http_text value);
void http_buffer_deinit(struct http_buffer *buffer);
