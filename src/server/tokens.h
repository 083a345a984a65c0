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

/* 1...2048 bytes. owner NULL: "token-N", which no other token may have as an owner's name. 0 or -1
 * with a sentence in `error`. */
int tokens_add(struct tokens *tokens, const char *owner, const char *token, char *error,
               size_t error_size) __attribute__((warn_unused_result));
/* `owner:token` or `token` a line. What stands before the first colon is an owner when it could be
 * one (1...64 of A-Z a-z 0-9 . _ @ -): a token that begins like that needs its owner written before
 * it. Lines that begin with
 * `#` and blank ones are skipped, blanks around a token and a CR at the end don't count. 0, or -1
 * with a sentence that names file and line and never shows a token. */
int tokens_read_file(struct tokens *tokens, const char *path, char *error, size_t error_size)
    __attribute__((warn_unused_result));
/* The owner, or NULL. Takes the same time wherever the match is. */
const char *tokens_find(const struct tokens *tokens, const char *token, size_t length);
void tokens_deinit(struct tokens *tokens);
