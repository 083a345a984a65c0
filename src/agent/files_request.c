#include "agent/files_request.h"

#include <string.h>

#include "base/text.h"

/* The byte at text->at, decoded, and behind it. -1: malformed. */
static int take_byte(struct http_text *text)
{
    int high = 0, low = 0, size = 1;
    if (*text->at == '%') {
        size = 3;
        high = text->length < 3 ? -1 : text_hex_digit(text->at[1]);
        low = text->length < 3 ? -1 : text_hex_digit(text->at[2]);
    }
    int byte = size == 1 ? (unsigned char)*text->at : high * 16 + low;
    if (high < 0 || low < 0 || byte == 0)
        return -1;
    text->at += size;
    text->length -= (size_t)size;
    return byte;
}

/* Decodes one part, up to the next slash or the end. A slash that was encoded is no part's end, and
 * no file has one in its name. */
static int take_part(struct http_text *text, char *out, size_t capacity, size_t *ret_length)
{
    size_t length = 0;
    while (text->length && *text->at != '/') {
        int byte = take_byte(text);
        if (byte < 0)
            return 400;
        if (byte == '/' || length + 1 >= capacity)
            return 404;
        out[length++] = (char)byte;
    }
    out[length] = 0;
    *ret_length = length;
    return 0;
}

static bool is_visible(const char *part, bool shows_hidden)
{
    if (!*part || strcmp(part, ".") == 0 || strcmp(part, "..") == 0)
        return false;
    return shows_hidden || *part != '.';
}

/* text: begins with a slash. */
static int read_path(struct http_text text, bool shows_hidden, struct files_request *request)
{
    size_t used = 0, length;
    while (text.length) {
        char *part = request->path + used + (used ? 1 : 0);
        text.at++;
        text.length--;
        if (!text.length) {
            request->is_folder = true;
            break;
        }
        int status = part < request->path + sizeof request->path
                         ? take_part(&text, part,
                                     sizeof request->path - (size_t)(part - request->path), &length)
                         : 404;
        if (status)
            return status;
        if (!is_visible(part, shows_hidden))
            return 404;
        if (used)
            request->path[used] = '/';
        used = (size_t)(part - request->path) + length;
    }
    request->path[used] = 0;
    return 0;
}

int files_request_read(const struct http_head *head, bool shows_hidden,
                       struct files_request *ret_request)
{
    struct http_text path = head->resource.length ? head->resource : http_text_of("/");
    /* Methods mind case, unlike all else here. */
    bool is_get = head->method.length == 3 && memcmp(head->method.at, "GET", 3) == 0;
    ret_request->is_head = head->method.length == 4 && memcmp(head->method.at, "HEAD", 4) == 0;
    ret_request->is_folder = false;
    ret_request->path[0] = 0;
    if (!is_get && !ret_request->is_head)
        return 405;
    const char *mark = memchr(path.at, '?', path.length);
    size_t length = mark ? (size_t)(mark - path.at) : path.length;
    ret_request->query = (struct http_text){path.at + length, path.length - length};
    path.length = length;
    if (!length) /* "http://host?query" */
        path = http_text_of("/");
    if (*path.at != '/')
        return 400;
    return read_path(path, shows_hidden, ret_request);
}
