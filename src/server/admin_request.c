#include "server/admin_request.h"

#include <http_parser.h>
#include <stdbool.h>
#include <string.h>

struct request {
    const char *target;
    size_t target_length;
    bool whole;
};

static int on_url(http_parser *parser, const char *at, size_t length)
{
    struct request *request = parser->data;
    if (!request->target)
        request->target = at;
    request->target_length += length;
    return 0;
}

static int on_complete(http_parser *parser)
{
    struct request *request = parser->data;
    request->whole = true;
    http_parser_pause(parser, 1); /* what follows is another request: we answer one and close */
    return 0;
}

/* The length of the head with its empty line, 0 while it isn't there, -1 for what no head may hold:
 * control bytes, bare CR or LF, folded lines, a space or nothing where a field's name ends. */
static int scan(const char *bytes, size_t length)
{
    bool in_name = false; /* within a field's name, up to its colon */
    size_t line = 0;      /* where this line began */
    bool first = true;
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        if (byte == '\r') {
            if (i + 1 == length)
                return 0;
            if (bytes[++i] != '\n')
                return -1;
            if (i == line + 1)
                return first ? -1 : (int)i + 1;
            if (in_name)
                return -1;
            line = i + 1;
            first = false;
            in_name = true;
        } else if ((byte < 0x20 && byte != '\t') || byte == 0x7f) {
            return -1;
        } else if (in_name && byte == ':') {
            if (i == line)
                return -1;
            in_name = false;
        } else if (in_name && (byte == ' ' || byte == '\t')) {
            return -1;
        }
    }
    return 0;
}

static bool is_path(const struct request *request, const char *path)
{
    size_t length = strlen(path);
    return request->target_length >= length && memcmp(request->target, path, length) == 0 &&
           (request->target_length == length || request->target[length] == '?');
}

static enum admin_request route(const http_parser *parser, const struct request *request)
{
    if (parser->method != HTTP_GET)
        return ADMIN_REQUEST_BAD_METHOD;
    if (is_path(request, "/metrics"))
        return ADMIN_REQUEST_METRICS;
    if (is_path(request, "/healthz"))
        return ADMIN_REQUEST_HEALTH;
    if (is_path(request, "/readyz"))
        return ADMIN_REQUEST_READY;
    return ADMIN_REQUEST_NOT_FOUND;
}

enum admin_request admin_request_parse(const char *bytes, size_t length)
{
    int head = scan(bytes, length < ADMIN_REQUEST_HEAD_MAX ? length : ADMIN_REQUEST_HEAD_MAX);
    if (head < 0)
        return ADMIN_REQUEST_BAD;
    if (!head)
        return length >= ADMIN_REQUEST_HEAD_MAX ? ADMIN_REQUEST_TOO_LONG : ADMIN_REQUEST_MORE;
    struct request request = {0};
    http_parser_settings settings;
    http_parser_settings_init(&settings);
    settings.on_url = on_url;
    settings.on_message_complete = on_complete;
    http_parser parser;
    http_parser_init(&parser, HTTP_REQUEST);
    parser.data = &request;
    http_parser_execute(&parser, &settings, bytes, (size_t)head);
    enum http_errno fault = HTTP_PARSER_ERRNO(&parser);
    if (fault == HPE_INVALID_METHOD)
        return ADMIN_REQUEST_BAD_METHOD;
    if (fault != HPE_OK && fault != HPE_PAUSED)
        return ADMIN_REQUEST_BAD;
    if (parser.http_major != 1 || !request.target)
        return ADMIN_REQUEST_BAD;
    enum admin_request asked = route(&parser, &request);
    /* With a body the message isn't whole at its head's end; of other methods that isn't asked. */
    if (asked != ADMIN_REQUEST_BAD_METHOD && !request.whole)
        return ADMIN_REQUEST_BAD;
    return asked;
}
