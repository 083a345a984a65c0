/* Slices of a head, and the lists (RFC 9110 5.6.1) in a field's value. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct http_text {
    const char *at; /* borrowed; not NUL-terminated */
    size_t length;
};

struct http_text http_text_of(const char *string);
/* Without the spaces and tabs around it. */
struct http_text http_text_trim(struct http_text text);
/* Are they equal but for case? */
bool http_text_is(struct http_text text, const char *string);
bool http_text_same(struct http_text a, struct http_text b);
/* Takes the next element off a list that commas part; empty elements are skipped. */
bool http_text_next(struct http_text *list, struct http_text *ret_element);
/* May this byte stand in a token (RFC 9110 5.6.2), in a field's value or a reason (5.5)? */
bool http_text_is_token(unsigned char byte);
static inline bool http_text_is_value(unsigned char byte)
{
    return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
}
