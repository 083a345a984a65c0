/* Shared tokens: kept as SHA-256, compared in constant time over all of them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define TOKEN_OWNER_MAX 64

struct token {
    unsigned char digest[32];
    char owner[TOKEN_OWNER_MAX + 1]; /* the name given, else an id of the token's own ("token-1") */
};

struct tokens {
    struct token *items;
    size_t count;
};

/* 1...2048 bytes. owner NULL: "token-N". 0 or -1 with a sentence in `error`. */
int tokens_add(struct tokens *tokens, const char *owner, const char *token, char *error, size_t error_size)
    __attribute__((warn_unused_result));
/* `owner:token` or `token` a line; # begins a comment; a file that can't be read is an error. */
int tokens_read_file(struct tokens *tokens, const char *path, char *error, size_t error_size)
    __attribute__((warn_unused_result));
/* The owner, or NULL. Takes the same time wherever the match is. */
const char *tokens_find(const struct tokens *tokens, const char *token, size_t length);
void tokens_deinit(struct tokens *tokens);
