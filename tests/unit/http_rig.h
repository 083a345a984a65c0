/* A visit with both its ends in memory: what comes out is collected, requests are forwarded. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "edge/http_visit.h"
#include "edge/page.h"

struct rig_bytes {
    char *at; /* NUL-terminated beyond its length */
    size_t length;
};

struct rig {
    struct http_visit *visit;
    struct http_visit_options options;
    struct http_forward forward;
    bool waits;    /* on_request doesn't forward */
    bool is_stuck; /* outputs aren't taken */
    struct rig_bytes service, visitor;
    int requests, answers, dones, service_ends, wholes;
    /* Of the last on_request: */
    char method[32], target[256], path[256], host[256], accept[64], expect[32];
    bool has_body, is_http10, is_upgrade, is_loop;
    /* Of the last on_done: */
    char record_method[32], record_target[600], version[16], referer[64], user_agent[64];
    int status;
    uint64_t bytes_in, bytes_out;
    bool is_own, is_whole, keeps_service;
    const char *now; /* the Date of our own answers, or NULL */
    void (*on_request)(struct rig *rig, const struct http_request *request); /* or NULL */
};

/* So that the machine's tests don't depend on the wording of pages. */
__attribute__((weak)) void page_make(enum page page, const char *accept, const char *detail,
                                     struct page_text *text, struct http_answer *ret_answer)
{
    (void)page, (void)accept, (void)detail, (void)text;
    *ret_answer = (struct http_answer){.status = 400,
                                       .head = "X-Streamplex-Error: PAGE\r\n",
                                       .content_type = "text/plain",
                                       .body = "page\n",
                                       .body_length = 5};
}

static inline void rig_append(struct rig_bytes *bytes, const void *more, size_t length)
{
    bytes->at = realloc(bytes->at, bytes->length + length + 1);
    if (!bytes->at)
        abort();
    if (length)
        memcpy(bytes->at + bytes->length, more, length);
    bytes->length += length;
    bytes->at[bytes->length] = 0;
}

static inline void rig_copy(char *to, size_t size, const char *from)
{
    size_t length = strlen(from) < size ? strlen(from) : size - 1;
    memcpy(to, from, length);
    to[length] = 0;
}

static inline void rig_on_request(void *user, const struct http_request *request)
{
    struct rig *rig = user;
    rig->requests++;
    rig_copy(rig->method, sizeof rig->method, request->method);
    rig_copy(rig->target, sizeof rig->target, request->target);
    rig_copy(rig->path, sizeof rig->path, request->path);
    rig_copy(rig->host, sizeof rig->host, request->host);
    rig_copy(rig->accept, sizeof rig->accept, request->accept);
    rig_copy(rig->expect, sizeof rig->expect, request->expect);
    rig->has_body = request->has_body;
    rig->is_http10 = request->is_http10;
    rig->is_upgrade = request->is_upgrade;
    rig->is_loop = request->is_loop;
    if (rig->on_request)
        rig->on_request(rig, request);
    else if (!rig->waits)
        http_visit_forward(rig->visit, &rig->forward);
}

static inline void rig_on_answer(void *user)
{
    ((struct rig *)user)->answers++;
}

static inline void rig_on_done(void *user, const struct http_record *record, bool keeps_service)
{
    struct rig *rig = user;
    rig->dones++;
    rig->wholes += record->is_whole;
    rig_copy(rig->record_method, sizeof rig->record_method, record->method);
    rig_copy(rig->record_target, sizeof rig->record_target, record->target);
    rig_copy(rig->version, sizeof rig->version, record->version);
    rig_copy(rig->referer, sizeof rig->referer, record->referer);
    rig_copy(rig->user_agent, sizeof rig->user_agent, record->user_agent);
    rig->status = record->status;
    rig->bytes_in = record->bytes_in;
    rig->bytes_out = record->bytes_out;
    rig->is_own = record->is_own;
    rig->is_whole = record->is_whole;
    rig->keeps_service = keeps_service;
}

static inline void rig_on_service_output(void *user)
{
    struct rig *rig = user;
    const void *bytes;
    size_t length;
    while (!rig->is_stuck && (bytes = http_visit_service_output(rig->visit, &length), length)) {
        rig_append(&rig->service, bytes, length);
        http_visit_drop_service_output(rig->visit, length);
    }
}

static inline void rig_on_visitor_output(void *user)
{
    struct rig *rig = user;
    const void *bytes;
    size_t length;
    while (!rig->is_stuck && (bytes = http_visit_visitor_output(rig->visit, &length), length)) {
        rig_append(&rig->visitor, bytes, length);
        http_visit_drop_visitor_output(rig->visit, length);
    }
}

static inline void rig_on_service_end(void *user)
{
    ((struct rig *)user)->service_ends++;
}

static inline const char *rig_date(void *user)
{
    return ((struct rig *)user)->now;
}

static inline void rig_open(struct rig *rig)
{
    static const struct http_visit_callbacks callbacks = {
        .on_request = rig_on_request,
        .on_answer = rig_on_answer,
        .on_done = rig_on_done,
        .on_service_output = rig_on_service_output,
        .on_visitor_output = rig_on_visitor_output,
        .on_service_end = rig_on_service_end,
        .date = rig_date,
    };
    if (!rig->options.head_max)
        rig->options.head_max = 16384;
    if (!rig->forward.visitor)
        rig->forward.visitor = "192.0.2.1";
    if (!rig->forward.proto)
        rig->forward.proto = "http";
    rig_append(&rig->service, "", 0);
    rig_append(&rig->visitor, "", 0);
    if (http_visit_new(&rig->options, &callbacks, rig, &rig->visit) < 0)
        abort();
}

static inline void rig_close(struct rig *rig)
{
    http_visit_free(rig->visit);
    free(rig->service.at);
    free(rig->visitor.at);
}

/* How bytes are torn: whole, byte by byte, or in pieces by a seed. */
enum rig_tearing { RIG_WHOLE = 0, RIG_BYTES = 1, RIG_SEEDS = 2 };

static inline size_t rig_piece(unsigned tearing, uint32_t *random, size_t left)
{
    if (tearing == RIG_WHOLE)
        return left < 65536 ? left : 65536;
    if (tearing == RIG_BYTES)
        return 1;
    *random = *random * 1103515245u + 12345u + tearing;
    size_t piece = 1 + (*random >> 16) % 23;
    return piece < left ? piece : left;
}

/* Each piece is an allocation of its own, for the address sanitizer to see a read past its end. */
static inline void rig_feed(struct rig *rig, bool is_service, const char *bytes, size_t length,
                            unsigned tearing)
{
    uint32_t random = tearing;
    while (length) {
        size_t piece = rig_piece(tearing, &random, length);
        char *exact = malloc(piece);
        if (!exact)
            abort();
        memcpy(exact, bytes, piece);
        if (is_service)
            http_visit_feed_service(rig->visit, exact, piece);
        else
            http_visit_feed_visitor(rig->visit, exact, piece);
        free(exact);
        bytes += piece;
        length -= piece;
    }
}

static inline void rig_visitor_says(struct rig *rig, const char *text, unsigned tearing)
{
    rig_feed(rig, false, text, strlen(text), tearing);
}

static inline void rig_service_says(struct rig *rig, const char *text, unsigned tearing)
{
    rig_feed(rig, true, text, strlen(text), tearing);
}

/* --- A plain reader of messages, for comparing what is torn --- */

static inline const char *rig_find(const char *text, size_t length, const char *what)
{
    return memmem(text, length, what, strlen(what));
}

/* Puts the chunks of a body together, as "{" body "}" and the trailers. Returns what it read. */
static inline size_t rig_join(const char *at, size_t length, struct rig_bytes *out)
{
    size_t used = 0;
    rig_append(out, "{", 1);
    for (;;) {
        const char *line_end = rig_find(at + used, length - used, "\r\n");
        if (!line_end)
            return length;
        size_t size = strtoul(at + used, NULL, 16);
        used = (size_t)(line_end - at) + 2;
        if (!size)
            break;
        rig_append(out, at + used, size < length - used ? size : length - used);
        if (size + 2 > length - used)
            return length;
        used += size + 2;
    }
    rig_append(out, "}", 1);
    /* Trailers, up to the empty line. */
    while (used < length) {
        const char *line_end = rig_find(at + used, length - used, "\r\n");
        size_t line = line_end ? (size_t)(line_end - at) - used + 2 : length - used;
        rig_append(out, at + used, line);
        used += line;
        if (line == 2)
            break;
    }
    return used;
}

/* Messages as they are, but for chunked bodies. Bodies until the end are the rest. */
static inline struct rig_bytes rig_normalize(const struct rig_bytes *bytes)
{
    struct rig_bytes out = {0};
    rig_append(&out, "", 0);
    for (size_t used = 0; used < bytes->length;) {
        const char *at = bytes->at + used;
        size_t left = bytes->length - used;
        const char *end = rig_find(at, left, "\r\n\r\n");
        size_t head = end ? (size_t)(end - at) + 4 : left;
        rig_append(&out, at, head);
        used += head;
        if (rig_find(at, head, "\r\nTransfer-Encoding: chunked\r\n"))
            used += rig_join(bytes->at + used, bytes->length - used, &out);
        else if (rig_find(at, head, "\r\nContent-Length: ")) {
            size_t size = strtoul(rig_find(at, head, "\r\nContent-Length: ") + 18, NULL, 10);
            size = size < bytes->length - used ? size : bytes->length - used;
            rig_append(&out, bytes->at + used, size);
            used += size;
        }
    }
    return out;
}
