#include "edge/http_text.h"

#include <string.h>
#include <strings.h>

struct http_text http_text_of(const char *string)
{
    return (struct http_text){string, strlen(string)};
}

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t';
}

struct http_text http_text_trim(struct http_text text)
{
    for (; text.length && is_blank(*text.at); text.at++)
        text.length--;
    while (text.length && is_blank(text.at[text.length - 1]))
        text.length--;
    return text;
}

bool http_text_is(struct http_text text, const char *string)
{
    return http_text_same(text, http_text_of(string));
}

bool http_text_same(struct http_text a, struct http_text b)
{
    return a.length == b.length && (!a.length || strncasecmp(a.at, b.at, a.length) == 0);
}

bool http_text_next(struct http_text *list, struct http_text *ret_element)
{
    while (list->length) {
        const char *comma = memchr(list->at, ',', list->length);
        size_t length = comma ? (size_t)(comma - list->at) : list->length;
        struct http_text element = http_text_trim((struct http_text){list->at, length});
        list->at += length + (comma ? 1 : 0);
        list->length -= length + (comma ? 1 : 0);
        if (element.length) {
            *ret_element = element;
            return true;
        }
    }
    return false;
}

bool http_text_is_token(unsigned char byte)
{
    if ((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
        (byte >= '0' && byte <= '9'))
        return true;
    switch (byte) {
    case '!':
    case '#':
    case '$':
    case '%':
    case '&':
    case '\'':
    case '*':
    case '+':
    case '-':
    case '.':
    case '^':
    case '_':
    case '`':
    case '|':
    case '~':
        return true;
    default:
        return false;
    }
}
