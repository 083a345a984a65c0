/* The texts of a request that outlive its head, NUL-terminated, in one piece of memory. */
#pragma once

#include "edge/http_head.h"

struct http_texts {
    char *memory; /* NULL: the texts are "" */
    size_t size;
    const char *method, *target, *version, *referer, *user_agent;        /* for the record */
    const char *path, *host, *accept, *expect, *upgrade, *authorization; /* while it is under way */
};

void http_texts_init(struct http_texts *texts);
/* The head may be one that the rules refused. 0 or -ENOMEM. */
int http_texts_make(struct http_texts *texts, const struct http_head *head)
    __attribute__((warn_unused_result));
/* Keeps what the record needs, for a visit that may stay for days; long texts are cut. */
void http_texts_shrink(struct http_texts *texts);
void http_texts_deinit(struct http_texts *texts); /* leaves them "" */
