#include "server/api_reader.h"

#include <stdlib.h>
#include <string.h>

#include "edge/http_rules.h"
#include "server/api_encoding.h"

/* --- Refusing --- */

static enum api_read refuse(struct api_reader *reader, int status)
{
    static const struct {
        int status;
        const char *code;
    } codes[] = {
        {400, "BAD_REQUEST"},    {405, "METHOD_NOT_ALLOWED"}, {411, "LENGTH_REQUIRED"},
        {413, "BODY_TOO_LARGE"}, {417, "EXPECTATION_FAILED"}, {431, "HEAD_TOO_LARGE"},
        {501, "METHOD_UNKNOWN"}, {503, "OUT_OF_MEMORY"},      {505, "VERSION_NOT_SUPPORTED"},
    };
    reader->status = status;
    reader->code = "BAD_REQUEST";
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (codes[i].status == status)
            reader->code = codes[i].code;
    return API_READ_REFUSED;
}

/* --- The head --- */

/* The only field of that name; false: there are several, which two readers may see differently. */
static bool find_field(const struct http_head *head, const char *name, struct http_text *ret_value)
{
    bool found = false;
    *ret_value = http_text_of("");
    for (size_t i = 0; i < head->count; i++) {
        if (!http_text_is(head->fields[i].name, name))
            continue;
        if (found)
            return false;
        found = true;
        *ret_value = head->fields[i].value;
    }
    return true;
}

/* "Bearer TOKEN" without its scheme; of any other scheme nothing. */
static struct http_text bearer_of(struct http_text value)
{
    static const char scheme[] = "Bearer ";
    size_t length = sizeof scheme - 1;
    struct http_text start = {value.at, length - 1};
    if (value.length < length || !http_text_is(start, "Bearer") || value.at[length - 1] != ' ')
        return http_text_of("");
    return http_text_trim((struct http_text){value.at + length, value.length - length});
}

/* What is kept of a head, in one piece of memory. */
struct parts {
    struct http_text method, path, query, token, type, tag;
};

static const char *keep(char **at, struct http_text text)
{
    char *start = *at;
    memcpy(start, text.at, text.length);
    start[text.length] = '\0';
    *at += text.length + 1;
    return start;
}

static bool keep_parts(struct api_reader *reader, const struct parts *parts)
{
    struct api_request *request = &reader->request;
    size_t size = parts->method.length + parts->path.length + parts->query.length +
                  parts->token.length + parts->type.length + parts->tag.length + 6;
    char *at = reader->texts = malloc(size);
    if (!at)
        return false;
    request->method = keep(&at, parts->method);
    request->path = keep(&at, parts->path);
    request->query = keep(&at, parts->query);
    request->token = keep(&at, parts->token);
    request->content_type = keep(&at, parts->type);
    request->if_none_match = keep(&at, parts->tag);
    return true;
}

static bool find_parts(const struct http_head *head, struct parts *parts)
{
    struct http_text token, authorization, resource = head->resource;
    if (!find_field(head, "x-access-token", &token) ||
        !find_field(head, "authorization", &authorization) ||
        !find_field(head, "content-type", &parts->type) ||
        !find_field(head, "if-none-match", &parts->tag))
        return false;
    if (!resource.length)
        resource = http_text_of("/");
    const char *mark = memchr(resource.at, '?', resource.length);
    size_t length = mark ? (size_t)(mark - resource.at) : resource.length;
    parts->method = head->method;
    parts->path = (struct http_text){resource.at, length};
    parts->query =
        mark ? (struct http_text){mark + 1, resource.length - length - 1} : http_text_of("");
    parts->token = token.length ? token : bearer_of(authorization);
    return true;
}

/* Somebody says what the body is and not how long: it would be read as the next request. */
static bool lacks_length(const struct http_head *head, const struct parts *parts)
{
    return head->framing == HTTP_FRAMING_NONE && !head->has_length && parts->type.length &&
           (http_text_is(head->method, "POST") || http_text_is(head->method, "PUT"));
}

static enum api_read take_head(struct api_reader *reader, const char *bytes, size_t length)
{
    struct http_head head;
    struct parts parts;
    int status = http_head_parse_request(bytes, length, &head);
    if (!status)
        status = http_rules_request(&head);
    if (status)
        return refuse(reader, status);
    if (!find_parts(&head, &parts))
        return refuse(reader, 400);
    if (lacks_length(&head, &parts))
        return refuse(reader, 411);
    if (head.framing == HTTP_FRAMING_LENGTH && head.length > API_BODY_MAX)
        return refuse(reader, 413);
    if (!keep_parts(reader, &parts))
        return refuse(reader, 503);
    reader->has_head = true;
    reader->closes = head.closes;
    reader->request.takes_gzip = api_encoding_takes_gzip(&head);
    reader->is_head = http_text_is(head.method, "HEAD");
    http_body_init(&reader->body, head.framing, head.length,
                   head.framing == HTTP_FRAMING_CHUNKED ? HTTP_FRAMING_UNTIL_CLOSE : head.framing);
    return head.expects ? API_READ_CONTINUE : API_READ_MORE;
}

static enum api_read read_head(struct api_reader *reader, const char *bytes, size_t length,
                               size_t *ret_taken)
{
    const char *whole;
    size_t whole_length;
    switch (http_gather_feed(&reader->head, bytes, length, API_HEAD_MAX, ret_taken, &whole,
                             &whole_length)) {
    case HTTP_GATHERED_MORE:
        return API_READ_MORE;
    case HTTP_GATHERED_WHOLE:
        break;
    case HTTP_GATHERED_BAD:
        return refuse(reader, 400);
    case HTTP_GATHERED_TOO_LONG:
        return refuse(reader, 431);
    case HTTP_GATHERED_NO_MEMORY:
        return refuse(reader, 503);
    }
    enum api_read result = take_head(reader, whole, whole_length);
    http_gather_deinit(&reader->head);
    return result;
}

/* --- The body --- */

static enum api_read finish(struct api_reader *reader)
{
    size_t size = reader->content.size, at = 0, length;
    const void *bytes;
    reader->body_text = malloc(size + 1);
    if (!reader->body_text)
        return refuse(reader, 503);
    while ((bytes = fifo_peek(&reader->content, &length), length)) {
        memcpy(reader->body_text + at, bytes, length);
        fifo_drop(&reader->content, length);
        at += length;
    }
    reader->body_text[size] = '\0';
    reader->request.body = reader->body_text;
    reader->request.body_length = size;
    return API_READ_WHOLE;
}

/* In steps that the limit is found by before anything behind it is looked at: so it makes no
 * difference how the bytes are torn. */
static enum api_read read_body(struct api_reader *reader, const char *bytes, size_t length,
                               size_t *ret_taken)
{
    size_t at = 0;
    while (at < length && !http_body_is_over(&reader->body)) {
        size_t room = API_BODY_MAX + 1 - reader->content.size;
        size_t step = length - at < room ? length - at : room;
        long taken = http_body_feed(&reader->body, bytes + at, step, &reader->content);
        if (taken < 0)
            return refuse(reader, taken == HTTP_BODY_NO_MEMORY ? 503 : 400);
        at += (size_t)taken;
        if (reader->content.size > API_BODY_MAX)
            return refuse(reader, 413);
    }
    *ret_taken += at;
    return http_body_is_over(&reader->body) ? finish(reader) : API_READ_MORE;
}

enum api_read api_reader_feed(struct api_reader *reader, const char *bytes, size_t length,
                              size_t *ret_taken)
{
    enum api_read result = API_READ_MORE;
    *ret_taken = 0;
    reader->has_begun |= length > 0;
    if (!reader->has_head)
        result = read_head(reader, bytes, length, ret_taken);
    if (result != API_READ_MORE || !reader->has_head)
        return result;
    return read_body(reader, bytes + *ret_taken, length - *ret_taken, ret_taken);
}

/* --- Life --- */

void api_reader_init(struct api_reader *reader)
{
    *reader = (struct api_reader){0};
    http_gather_init(&reader->head, HTTP_SCAN_REQUEST);
}

void api_reader_deinit(struct api_reader *reader)
{
    http_gather_deinit(&reader->head);
    http_body_deinit(&reader->body);
    fifo_deinit(&reader->content);
    if (reader->texts)
        explicit_bzero((char *)reader->request.token, strlen(reader->request.token));
    if (reader->body_text) /* there are passwords in it */
        explicit_bzero(reader->body_text, reader->request.body_length);
    free(reader->texts);
    free(reader->body_text);
    reader->texts = reader->body_text = NULL;
}

void api_reader_next(struct api_reader *reader)
{
    api_reader_deinit(reader);
    api_reader_init(reader);
}
