#include "edge/http_texts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "edge/http_rules.h"

#define SHRUNK_MAX 512 /* of a text; a log's line has no room for more */

void http_texts_init(struct http_texts *texts)
{
    *texts = (struct http_texts){NULL, 0, "", "", "", "", "", "", "", "", "", "", ""};
}

/* The path alone, of a resource with a query; "/" for none. */
static struct http_text path_of(struct http_text resource)
{
    const char *query = resource.length ? memchr(resource.at, '?', resource.length) : NULL;
    if (query)
        resource.length = (size_t)(query - resource.at);
    return resource.length ? resource : http_text_of("/");
}

static struct http_text host_of(const struct http_head *head)
{
    struct http_text host, port;
    if (!head->authority.length || !http_rules_authority(head->authority, &host, &port))
        return http_text_of("");
    if (host.at[host.length - 1] == '.')
        host.length--;
    return host;
}

static const char *place(char **memory, struct http_text text)
{
    char *begin = *memory;
    if (text.length)
        memcpy(begin, text.at, text.length);
    begin[text.length] = 0;
    *memory += text.length + 1;
    return begin;
}

static void lower(const char *begin, char *end)
{
    for (char *at = end - strlen(begin) - 1; at < end; at++)
        if (*at >= 'A' && *at <= 'Z')
            *at = (char)(*at - 'A' + 'a');
}

int http_texts_make(struct http_texts *texts, const struct http_head *head)
{
    struct http_buffer upgrades = {0};
    if (head->is_upgrade)
        http_rules_upgrades(head, &upgrades);
    const struct http_text parts[] = {
        head->method,
        head->target,
        head->version,
        http_head_value(head, HTTP_NAME_REFERER),
        http_head_value(head, HTTP_NAME_USER_AGENT),
        path_of(head->resource),
        http_head_value(head, HTTP_NAME_ACCEPT),
        head->expects ? http_text_of("100-continue") : http_text_of(""),
        {upgrades.bytes, upgrades.length},
        http_head_count(head, HTTP_NAME_AUTHORIZATION) == 1
            ? http_head_value(head, HTTP_NAME_AUTHORIZATION)
            : http_text_of(""),
        host_of(head),
    };
    const char **const places[] = {
        &texts->method,     &texts->target,        &texts->version, &texts->referer,
        &texts->user_agent, &texts->path,          &texts->accept,  &texts->expect,
        &texts->upgrade,    &texts->authorization, &texts->host,
    };
    size_t size = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        size += parts[i].length + 1;
    char *memory = upgrades.failed ? NULL : malloc(size);
    if (memory) {
        texts->memory = memory;
        texts->size = size;
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
            *places[i] = place(&memory, parts[i]);
        lower(texts->host, memory);
    }
    http_buffer_deinit(&upgrades);
    return memory ? 0 : -ENOMEM;
}

void http_texts_shrink(struct http_texts *texts)
{
    const char **const kept[] = {&texts->method, &texts->target, &texts->version, &texts->referer,
                                 &texts->user_agent};
    size_t size = 0;
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        size += strnlen(*kept[i], SHRUNK_MAX) + 1;
    char *memory = malloc(size);
    if (!memory)
        return; /* it stays as large as it is */
    struct http_texts shrunk;
    http_texts_init(&shrunk);
    shrunk.memory = memory;
    shrunk.size = size;
    const char **const places[] = {&shrunk.method, &shrunk.target, &shrunk.version, &shrunk.referer,
                                   &shrunk.user_agent};
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        *places[i] = place(&memory, (struct http_text){*kept[i], strnlen(*kept[i], SHRUNK_MAX)});
    free(texts->memory);
    *texts = shrunk;
}

void http_texts_deinit(struct http_texts *texts)
{
    free(texts->memory);
    http_texts_init(texts);
}
