#include "edge/http_loop.h"

#include <string.h>

/* The name alone, of "name; v=1". */
static struct http_text name_of(struct http_text element)
{
    const char *parameters = memchr(element.at, ';', element.length);
    if (parameters)
        element.length = (size_t)(parameters - element.at);
    return http_text_trim(element);
}

/* Commas part the list even within quotes: were those minded, a quote that somebody opens and never
 * closes would hide every name behind it. */
bool http_loop_is_closed(const struct http_head *head, const char *cdn_id)
{
    unsigned rounds = 0;
    for (size_t i = 0; cdn_id && i < head->count; i++) {
        struct http_text list = head->fields[i].value, one;
        while (head->fields[i].id == HTTP_NAME_CDN_LOOP && http_text_next(&list, &one))
            rounds += http_text_is(name_of(one), cdn_id);
    }
    return rounds >= HTTP_LOOP_ROUNDS;
}

static void add(struct http_buffer *buffer, bool *is_begun, struct http_text text)
{
    if (!text.length)
        return;
    http_buffer_puts(buffer, *is_begun ? ", " : "CDN-Loop: ");
    http_buffer_add(buffer, text);
    *is_begun = true;
}

void http_loop_write(const struct http_head *head, const char *cdn_id, struct http_buffer *buffer)
{
    bool is_begun = false;
    for (size_t i = 0; i < head->count; i++)
        if (head->fields[i].id == HTTP_NAME_CDN_LOOP)
            add(buffer, &is_begun, head->fields[i].value);
    add(buffer, &is_begun, http_text_of(cdn_id ? cdn_id : ""));
    if (is_begun)
        http_buffer_puts(buffer, "\r\n");
}
