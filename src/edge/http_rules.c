#include "edge/http_rules.h"

#include <string.h>

#define HOST_MAX 255 /* of a name in the DNS */

/* --- Host --- */

static bool is_host_byte(char byte, bool is_ip6)
{
    bool is_digit = byte >= '0' && byte <= '9';
    bool is_hex = (byte >= 'a' && byte <= 'f') || (byte >= 'A' && byte <= 'F');
    bool is_letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
    if (is_ip6)
        return is_digit || is_hex || byte == ':' || byte == '.';
    return is_digit || is_letter || byte == '-' || byte == '.' || byte == '_';
}

static bool is_port(struct http_text port)
{
    unsigned number = 0;
    for (size_t i = 0; i < port.length; i++) {
        if (port.at[i] < '0' || port.at[i] > '9')
            return false;
        number = number * 10 + (unsigned)(port.at[i] - '0');
        if (number > 65535)
            return false;
    }
    return true;
}

bool http_rules_authority(struct http_text authority, struct http_text *ret_host,
                          struct http_text *ret_port)
{
    bool is_ip6 = authority.length && authority.at[0] == '[';
    const char *end = authority.at + authority.length;
    const char *stop =
        authority.length ? memchr(authority.at, is_ip6 ? ']' : ':', authority.length) : NULL;
    if (is_ip6 && !stop)
        return false;
    if (is_ip6)
        stop++;
    if (!stop)
        stop = end;
    struct http_text host = {authority.at, (size_t)(stop - authority.at)};
    struct http_text inner = is_ip6 ? (struct http_text){host.at + 1, host.length - 2} : host;
    if (!inner.length || host.length > HOST_MAX || (inner.length == 1 && *inner.at == '.'))
        return false;
    for (size_t i = 0; i < inner.length; i++)
        if (!is_host_byte(inner.at[i], is_ip6))
            return false;
    struct http_text port = {stop, 0};
    if (stop < end) {
        if (*stop != ':')
            return false;
        port = (struct http_text){stop + 1, (size_t)(end - stop - 1)};
    }
    if (!is_port(port))
        return false;
    *ret_host = host;
    *ret_port = port;
    return true;
}

/* Do two authorities name the same place, for a scheme whose own port is `standard`? */
static bool is_same_place(struct http_text a, struct http_text b, const char *standard)
{
    struct http_text host_a, port_a, host_b, port_b;
    if (!http_rules_authority(a, &host_a, &port_a) || !http_rules_authority(b, &host_b, &port_b))
        return false;
    if (!port_a.length)
        port_a = http_text_of(standard);
    if (!port_b.length)
        port_b = http_text_of(standard);
    return http_text_same(host_a, host_b) && http_text_same(port_a, port_b);
}

/* --- Target --- */

static bool starts(struct http_text text, const char *scheme)
{
    size_t length = strlen(scheme);
    return text.length > length && http_text_is((struct http_text){text.at, length}, scheme);
}

/* http://host:port/path?query: host and port stand above what Host says, and must agree with it. */
static int judge_absolute(struct http_head *head, struct http_text host)
{
    bool is_https = starts(head->target, "https://");
    if (!is_https && !starts(head->target, "http://"))
        return 400;
    size_t skip = is_https ? 8 : 7, length = 0;
    struct http_text rest = {head->target.at + skip, head->target.length - skip};
    while (length < rest.length && rest.at[length] != '/' && rest.at[length] != '?')
        length++;
    head->authority = (struct http_text){rest.at, length};
    head->resource = (struct http_text){rest.at + length, rest.length - length};
    struct http_text name, port;
    if (!http_rules_authority(head->authority, &name, &port))
        return 400;
    if (host.length && !is_same_place(host, head->authority, is_https ? "443" : "80"))
        return 400;
    if (!head->resource.length && http_text_is(head->method, "OPTIONS"))
        head->resource = http_text_of("*"); /* RFC 9112 3.2.4 */
    return 0;
}

static int judge_target(struct http_head *head)
{
    size_t hosts = http_head_count(head, HTTP_NAME_HOST);
    struct http_text host = http_head_value(head, HTTP_NAME_HOST), name, port;
    if (hosts > 1 || (hosts == 0 && head->minor == 1))
        return 400;
    if (hosts && !http_rules_authority(host, &name, &port))
        return 400;
    head->authority = host;
    head->resource = head->target;
    if (head->target.at[0] == '/')
        return 0;
    if (head->target.at[0] == '*')
        return head->target.length == 1 && http_text_is(head->method, "OPTIONS") ? 0 : 400;
    return judge_absolute(head, host);
}

/* --- Framing --- */

static bool read_length(struct http_text value, uint64_t *ret_length)
{
    uint64_t length = 0;
    if (!value.length)
        return false;
    for (size_t i = 0; i < value.length; i++) {
        unsigned digit = (unsigned char)value.at[i] - (unsigned)'0';
        if (digit > 9 || length > ((uint64_t)INT64_MAX - digit) / 10)
            return false;
        length = length * 10 + digit;
    }
    *ret_length = length;
    return true;
}

/* false: not to be understood in one way only. */
static bool judge_framing(struct http_head *head)
{
    size_t lengths = http_head_count(head, HTTP_NAME_CONTENT_LENGTH);
    size_t codings = http_head_count(head, HTTP_NAME_TRANSFER_ENCODING);
    if (lengths > 1 || codings > 1 || (lengths && codings))
        return false;
    if (codings) {
        if (head->minor == 0 ||
            !http_text_is(http_head_value(head, HTTP_NAME_TRANSFER_ENCODING), "chunked"))
            return false;
        head->is_chunked = true;
        head->framing = HTTP_FRAMING_CHUNKED;
    }
    if (lengths) {
        if (!read_length(http_head_value(head, HTTP_NAME_CONTENT_LENGTH), &head->length))
            return false;
        head->has_length = true;
        head->framing = HTTP_FRAMING_LENGTH;
    }
    return true;
}

/* --- Connection --- */

static void mark_hops(struct http_head *head)
{
    for (size_t i = 0; i < head->count; i++) {
        struct http_field *field = &head->fields[i];
        field->is_hop = http_name_is_hop(field->id);
    }
    for (size_t i = 0; i < head->count; i++) {
        struct http_text list = head->fields[i].value, one;
        while (head->fields[i].id == HTTP_NAME_CONNECTION && http_text_next(&list, &one))
            for (size_t j = 0; j < head->count; j++)
                if (http_text_same(head->fields[j].name, one))
                    head->fields[j].is_hop = true;
    }
}

static void judge_connection(struct http_head *head)
{
    mark_hops(head);
    head->closes = http_head_lists(head, HTTP_NAME_CONNECTION, "close") ||
                   (head->minor == 0 && !http_head_lists(head, HTTP_NAME_CONNECTION, "keep-alive"));
}

/* "h2c", and should somebody write a version to it, "h2c/1", too. */
static bool is_h2c(struct http_text protocol)
{
    const char *slash = memchr(protocol.at, '/', protocol.length);
    if (slash)
        protocol.length = (size_t)(slash - protocol.at);
    return http_text_is(protocol, "h2c");
}

void http_rules_upgrades(const struct http_head *head, struct http_buffer *buffer)
{
    size_t begin = buffer->length;
    for (size_t i = 0; i < head->count; i++) {
        struct http_text list = head->fields[i].value, one;
        while (head->fields[i].id == HTTP_NAME_UPGRADE && http_text_next(&list, &one)) {
            if (is_h2c(one))
                continue;
            if (buffer->length > begin)
                http_buffer_puts(buffer, ", ");
            http_buffer_add(buffer, one);
        }
    }
}

bool http_rules_is_asked(const struct http_head *answer, struct http_text asked)
{
    size_t count = 0;
    for (size_t i = 0; i < answer->count; i++) {
        struct http_text list = answer->fields[i].value, one;
        while (answer->fields[i].id == HTTP_NAME_UPGRADE && http_text_next(&list, &one)) {
            struct http_text rest = asked, wish = {0};
            bool is_found = false;
            while (!is_found && http_text_next(&rest, &wish))
                is_found = http_text_same(wish, one);
            if (!is_found)
                return false;
            count++;
        }
    }
    return count > 0;
}

/* Upgrade is for HTTP/1.1, must be named in Connection, and with a body there would be two orders
 * in which to read what follows the head. */
static bool is_upgrade(const struct http_head *head)
{
    if (head->minor == 0 || !http_head_lists(head, HTTP_NAME_CONNECTION, "upgrade") ||
        head->is_chunked || head->length)
        return false;
    for (size_t i = 0; i < head->count; i++) {
        struct http_text list = head->fields[i].value, one;
        while (head->fields[i].id == HTTP_NAME_UPGRADE && http_text_next(&list, &one))
            if (!is_h2c(one))
                return true;
    }
    return false;
}

/* --- Both together --- */

int http_rules_request(struct http_head *head)
{
    int status = judge_target(head);
    if (status)
        return status;
    if (!judge_framing(head))
        return 400;
    judge_connection(head);
    head->is_upgrade = is_upgrade(head);
    head->takes_trailers = head->minor == 1 && http_head_lists(head, HTTP_NAME_TE, "trailers");
    for (size_t i = 0; head->minor == 1 && i < head->count; i++) {
        if (head->fields[i].id != HTTP_NAME_EXPECT)
            continue;
        if (!http_text_is(head->fields[i].value, "100-continue"))
            return 417;
        head->expects = head->is_chunked || head->length;
    }
    return 0;
}

int http_rules_answer(struct http_head *head, bool to_head)
{
    if (!judge_framing(head))
        return 502;
    judge_connection(head);
    if (head->status < 200 || head->status == 204) {
        /* What such an answer says of a body is wrong; what may follow isn't read as an answer. */
        head->is_odd = head->is_chunked || head->length;
        head->has_length = head->is_chunked = false;
        head->framing = HTTP_FRAMING_NONE;
    } else if (to_head || head->status == 304) {
        head->framing = HTTP_FRAMING_NONE;
    } else if (head->framing == HTTP_FRAMING_NONE) {
        head->framing = HTTP_FRAMING_UNTIL_CLOSE;
    }
    /* A status of 1xx with a body would be read as the final answer's beginning. */
    return head->status < 200 && head->is_odd ? 502 : 0;
}
