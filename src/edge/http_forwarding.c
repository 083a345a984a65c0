#include "edge/http_forwarding.h"

#include <string.h>

/* Continues what came, if that is believed: "a, b" and then a comma. true: something came. */
static bool write_received(const struct http_head *head, const struct http_forward *forward,
                           enum http_name id, struct http_buffer *buffer)
{
    bool is_any = false;
    for (size_t i = 0; forward->is_trusted && i < head->count; i++) {
        const struct http_field *field = &head->fields[i];
        if (field->id != id || field->is_hop || !field->value.length)
            continue;
        if (is_any)
            http_buffer_puts(buffer, ", ");
        http_buffer_add(buffer, field->value);
        is_any = true;
    }
    return is_any;
}

static void write_single(const struct http_head *head, const struct http_forward *forward,
                         enum http_name id, const char *name, struct http_text value,
                         struct http_buffer *buffer)
{
    http_buffer_puts(buffer, name);
    http_buffer_puts(buffer, ": ");
    if (!write_received(head, forward, id, buffer))
        http_buffer_add(buffer, value);
    http_buffer_puts(buffer, "\r\n");
}

/* An address with colons is put in brackets and quotes (RFC 7239 6), a host with a port in quotes.
 */
static void write_forwarded(const struct http_head *head, const struct http_forward *forward,
                            struct http_buffer *buffer)
{
    bool is_ip6 = strchr(forward->visitor, ':') != NULL;
    http_buffer_puts(buffer, "Forwarded: ");
    if (write_received(head, forward, HTTP_NAME_FORWARDED, buffer))
        http_buffer_puts(buffer, ", ");
    http_buffer_puts(buffer, is_ip6 ? "for=\"[" : "for=");
    http_buffer_puts(buffer, forward->visitor);
    http_buffer_puts(buffer, is_ip6 ? "]\"" : "");
    if (head->authority.length) {
        bool is_quoted = memchr(head->authority.at, ':', head->authority.length) != NULL ||
                         *head->authority.at == '[';
        http_buffer_puts(buffer, is_quoted ? ";host=\"" : ";host=");
        http_buffer_add(buffer, head->authority);
        http_buffer_puts(buffer, is_quoted ? "\"" : "");
    }
    http_buffer_puts(buffer, ";proto=");
    http_buffer_puts(buffer, forward->proto);
    http_buffer_puts(buffer, "\r\n");
}

void http_forwarding_write(const struct http_head *head, const struct http_forward *forward,
                           struct http_buffer *buffer)
{
    struct http_text visitor = http_text_of(forward->visitor);
    http_buffer_puts(buffer, "X-Forwarded-For: ");
    if (write_received(head, forward, HTTP_NAME_X_FORWARDED_FOR, buffer))
        http_buffer_puts(buffer, ", ");
    http_buffer_add(buffer, visitor);
    http_buffer_puts(buffer, "\r\n");
    if (head->authority.length)
        write_single(head, forward, HTTP_NAME_X_FORWARDED_HOST, "X-Forwarded-Host", head->authority,
                     buffer);
    write_single(head, forward, HTTP_NAME_X_FORWARDED_PROTO, "X-Forwarded-Proto",
                 http_text_of(forward->proto), buffer);
    write_single(head, forward, HTTP_NAME_X_REAL_IP, "X-Real-IP", visitor, buffer);
    write_forwarded(head, forward, buffer);
}
