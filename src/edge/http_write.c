#include "edge/http_write.h"

#include "edge/http_forwarding.h"
#include "edge/http_loop.h"
#include "edge/http_rules.h"

static void write_length(struct http_buffer *buffer, unsigned long long length)
{
    http_buffer_puts(buffer, "Content-Length: ");
    http_buffer_number(buffer, length);
    http_buffer_puts(buffer, "\r\n");
}

static void write_field(struct http_buffer *buffer, const struct http_field *field)
{
    http_buffer_add(buffer, field->name);
    http_buffer_field(buffer, "", field->value);
}

/* Is this field passed on as it is? Others are dropped, or written by those below. */
static bool is_passed_on(const struct http_head *head, const struct http_forward *forward,
                         const struct http_field *field)
{
    if (field->is_hop || http_name_is_forwarding(field->id))
        return false;
    switch ((enum http_name)field->id) {
    case HTTP_NAME_HOST:
    case HTTP_NAME_CDN_LOOP:
    case HTTP_NAME_CONTENT_LENGTH:
        return false;
    case HTTP_NAME_AUTHORIZATION:
        return !forward->is_authorized;
    case HTTP_NAME_EXPECT:
        return head->expects;
    case HTTP_NAME_TRAILER:
        return head->framing == HTTP_FRAMING_CHUNKED;
    default:
        return true;
    }
}

/* Connection, and what it names. */
static void write_connection(const struct http_head *head, struct http_buffer *buffer)
{
    if (head->is_upgrade) {
        http_buffer_puts(buffer, "Upgrade: ");
        http_rules_upgrades(head, buffer);
        http_buffer_puts(buffer, "\r\n");
    }
    if (head->takes_trailers)
        http_buffer_puts(buffer, "TE: trailers\r\n");
    if (head->is_upgrade || head->takes_trailers) {
        http_buffer_puts(buffer, "Connection: ");
        http_buffer_puts(buffer, head->takes_trailers ? "TE" : "");
        http_buffer_puts(buffer, head->is_upgrade && head->takes_trailers ? ", " : "");
        http_buffer_puts(buffer, head->is_upgrade ? "Upgrade\r\n" : "\r\n");
    }
}

void http_write_request(const struct http_head *head, const struct http_forward *forward,
                        const char *cdn_id, struct http_buffer *buffer)
{
    http_buffer_add(buffer, head->method);
    /* "http://host?query" has no path, which an origin's form can't be without. */
    bool has_path = head->resource.length && head->resource.at[0] != '?';
    http_buffer_puts(buffer, has_path ? " " : " /");
    http_buffer_add(buffer, head->resource);
    http_buffer_puts(buffer, " HTTP/1.1\r\n");
    http_buffer_field(buffer, "Host",
                      forward->host_header ? http_text_of(forward->host_header) : head->authority);
    for (size_t i = 0; i < head->count; i++)
        if (is_passed_on(head, forward, &head->fields[i]))
            write_field(buffer, &head->fields[i]);
    if (head->framing == HTTP_FRAMING_LENGTH)
        write_length(buffer, head->length);
    if (head->framing == HTTP_FRAMING_CHUNKED)
        http_buffer_puts(buffer, "Transfer-Encoding: chunked\r\n");
    write_connection(head, buffer);
    http_forwarding_write(head, forward, buffer);
    http_loop_write(head, cdn_id, buffer);
    if (forward->client_subject)
        http_buffer_field(buffer, "X-Client-Cert-Subject", http_text_of(forward->client_subject));
    http_buffer_puts(buffer, "\r\n");
}

/* Forwarding headers in an answer are the service's own affair; Host isn't an answer's, nor is
 * Expect, and neither does harm. */
static bool is_passed_back(const struct http_field *field, const struct http_write_answer *how)
{
    if (field->is_hop || field->id == HTTP_NAME_CONTENT_LENGTH)
        return false;
    return field->id != HTTP_NAME_TRAILER || how->framing == HTTP_FRAMING_CHUNKED;
}

static void write_start(struct http_buffer *buffer, int status, struct http_text reason)
{
    http_buffer_puts(buffer, "HTTP/1.1 ");
    http_buffer_number(buffer, (unsigned long long)status);
    http_buffer_puts(buffer, " ");
    http_buffer_add(buffer, reason);
    http_buffer_puts(buffer, "\r\n");
}

/* The visitor's connection after a final answer. 426 has to name what it wants. */
static void write_fate(const struct http_head *head, const struct http_write_answer *how,
                       struct http_buffer *buffer)
{
    bool is_upgrade = (head->status == 101 || head->status == 426) &&
                      http_head_count(head, HTTP_NAME_UPGRADE) > 0;
    for (size_t i = 0; is_upgrade && i < head->count; i++)
        if (head->fields[i].id == HTTP_NAME_UPGRADE)
            write_field(buffer, &head->fields[i]);
    const char *fate = how->closes ? "close" : how->is_http10 ? "keep-alive" : "";
    if (head->status < 200)
        fate = "";
    if (!is_upgrade && !*fate)
        return;
    http_buffer_puts(buffer, "Connection: ");
    http_buffer_puts(buffer, fate);
    http_buffer_puts(buffer, is_upgrade && *fate ? ", " : "");
    http_buffer_puts(buffer, is_upgrade ? "Upgrade\r\n" : "\r\n");
}

void http_write_answer(const struct http_head *head, const struct http_write_answer *how,
                       struct http_buffer *buffer)
{
    write_start(buffer, head->status, head->reason);
    for (size_t i = 0; i < head->count; i++)
        if (is_passed_back(&head->fields[i], how))
            write_field(buffer, &head->fields[i]);
    /* An answer without a body may tell what one would have had (HEAD, 304). */
    bool is_bodyless = head->framing == HTTP_FRAMING_NONE;
    if (how->framing == HTTP_FRAMING_LENGTH || (is_bodyless && head->has_length))
        write_length(buffer, head->length);
    if (how->framing == HTTP_FRAMING_CHUNKED ||
        (is_bodyless && head->is_chunked && !how->is_http10))
        http_buffer_puts(buffer, "Transfer-Encoding: chunked\r\n");
    write_fate(head, how, buffer);
    http_buffer_puts(buffer, "\r\n");
}

void http_write_own(const struct http_answer *answer, const struct http_write_own *how,
                    struct http_buffer *buffer)
{
    write_start(buffer, answer->status, http_text_of(http_head_reason(answer->status)));
    if (how->date)
        http_buffer_field(buffer, "Date", http_text_of(how->date));
    http_buffer_puts(buffer, answer->head ? answer->head : "");
    if (answer->content_type && *answer->content_type)
        http_buffer_field(buffer, "Content-Type", http_text_of(answer->content_type));
    write_length(buffer, answer->body_length);
    if (how->closes || how->is_http10)
        http_buffer_puts(buffer,
                         how->closes ? "Connection: close\r\n" : "Connection: keep-alive\r\n");
    http_buffer_puts(buffer, "\r\n");
    if (!how->to_head)
        http_buffer_add(buffer, (struct http_text){answer->body, answer->body_length});
}
