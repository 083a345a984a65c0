#include "edge/http_head.h"

#include <http_parser.h>
#include <string.h>

struct reading {
    struct http_head *head;
    bool is_whole, is_over_full, is_odd;
};

/* http-parser may tell a text in pieces, that touch since the whole head lies in one buffer. */
static int extend(struct reading *reading, struct http_text *text, const char *at, size_t length)
{
    if (!text->length)
        text->at = at;
    if (text->at + text->length != at)
        reading->is_odd = true;
    text->length += length;
    return reading->is_odd;
}

static int on_url(http_parser *parser, const char *at, size_t length)
{
    struct reading *reading = parser->data;
    return extend(reading, &reading->head->target, at, length);
}

static int on_status(http_parser *parser, const char *at, size_t length)
{
    struct reading *reading = parser->data;
    return extend(reading, &reading->head->reason, at, length);
}

/* A field's name is over, and so the field before it, once there is a value. */
static int on_header_field(http_parser *parser, const char *at, size_t length)
{
    struct reading *reading = parser->data;
    struct http_head *head = reading->head;
    struct http_field *last = head->count ? &head->fields[head->count - 1] : NULL;
    if (last && !last->value.at)
        return extend(reading, &last->name, at, length);
    if (head->count == HTTP_FIELDS_MAX) {
        reading->is_over_full = true;
        return 1;
    }
    head->fields[head->count++] = (struct http_field){.name = {at, length}};
    return 0;
}

static int on_header_value(http_parser *parser, const char *at, size_t length)
{
    struct reading *reading = parser->data;
    struct http_head *head = reading->head;
    struct http_field *last = &head->fields[head->count - 1];
    if (!last->value.at)
        last->value.at = at;
    return extend(reading, &last->value, at, length);
}

/* 1: no body is to be looked for, which is http_body.h's. */
static int on_headers_complete(http_parser *parser)
{
    struct reading *reading = parser->data;
    reading->is_whole = true;
    return 1;
}

static void finish_fields(struct http_head *head)
{
    for (size_t i = 0; i < head->count; i++) {
        struct http_field *field = &head->fields[i];
        field->value = http_text_trim(field->value);
        field->id = (uint8_t)http_name_find(field->name);
    }
}

static enum http_errno parse(enum http_parser_type type, const char *bytes, size_t length,
                             struct reading *reading, http_parser *parser)
{
    static const http_parser_settings settings = {
        .on_url = on_url,
        .on_status = on_status,
        .on_header_field = on_header_field,
        .on_header_value = on_header_value,
        .on_headers_complete = on_headers_complete,
    };
    http_parser_init(parser, type);
    parser->data = reading;
    http_parser_execute(parser, &settings, bytes, length);
    finish_fields(reading->head);
    return HTTP_PARSER_ERRNO(parser);
}

/* What the scan let pass is METHOD SP TARGET SP HTTP/0.0 CRLF ... */
static void read_start(const char *bytes, size_t length, struct http_head *head)
{
    const char *end = memchr(bytes, '\r', length);
    const char *space = memchr(bytes, ' ', length);
    memset(head, 0, offsetof(struct http_head, fields));
    head->method = (struct http_text){bytes, (size_t)(space - bytes)};
    head->version = (struct http_text){end - 8, 8};
    head->target = (struct http_text){space + 1, (size_t)(head->version.at - space - 2)};
    head->minor = end[-1] - '0';
}

static bool is_exactly(struct http_text text, const char *string)
{
    return text.length == strlen(string) && memcmp(text.at, string, text.length) == 0;
}

int http_head_parse_request(const char *bytes, size_t length, struct http_head *head)
{
    read_start(bytes, length, head);
    if (!is_exactly(head->version, "HTTP/1.1") && !is_exactly(head->version, "HTTP/1.0"))
        return 505;
    if (is_exactly(head->method, "CONNECT"))
        return 405;
    struct reading reading = {.head = head};
    struct http_text target = head->target;
    http_parser parser;
    head->target = (struct http_text){0};
    enum http_errno fault = parse(HTTP_REQUEST, bytes, length, &reading, &parser);
    /* Both must have seen the same target; and the record has it whatever became of the head. */
    bool is_same = http_text_same(head->target, target);
    head->target = target;
    if (reading.is_over_full)
        return 431;
    if (fault == HPE_INVALID_METHOD)
        return 501;
    if (fault != HPE_OK || !reading.is_whole || !is_same)
        return 400;
    return 0;
}

int http_head_parse_answer(const char *bytes, size_t length, struct http_head *head)
{
    struct reading reading = {.head = head};
    http_parser parser;
    memset(head, 0, offsetof(struct http_head, fields));
    enum http_errno fault = parse(HTTP_RESPONSE, bytes, length, &reading, &parser);
    if (fault != HPE_OK || !reading.is_whole || reading.is_over_full)
        return 502;
    if (parser.http_major != 1 || parser.http_minor > 1)
        return 502;
    head->status = (int)parser.status_code;
    head->minor = (int)parser.http_minor;
    return 0;
}

struct http_text http_head_value(const struct http_head *head, enum http_name id)
{
    for (size_t i = 0; i < head->count; i++)
        if (head->fields[i].id == id)
            return head->fields[i].value;
    return (struct http_text){"", 0};
}

size_t http_head_count(const struct http_head *head, enum http_name id)
{
    size_t count = 0;
    for (size_t i = 0; i < head->count; i++)
        count += head->fields[i].id == id;
    return count;
}

bool http_head_lists(const struct http_head *head, enum http_name id, const char *element)
{
    for (size_t i = 0; i < head->count; i++) {
        struct http_text list = head->fields[i].value, one;
        while (head->fields[i].id == id && http_text_next(&list, &one))
            if (http_text_is(one, element))
                return true;
    }
    return false;
}

const char *http_head_reason(int status)
{
    const char *reason = http_status_str((enum http_status)status);
    return *reason == '<' ? "" : reason;
}
