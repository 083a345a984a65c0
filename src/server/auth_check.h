/* A checker: one way to have somebody else judge a token. auth.c has one of them, auth_oauth.c and
 * auth_exec.c make them. To add another: make a struct auth_checker, and choose it in auth.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/loop.h"
#include "server/auth.h"

struct auth_verdict {
    enum auth_result result;
    const char *owner; /* AUTH_ACCEPTED: 1...AUTH_OWNER_MAX bytes; else NULL */
    const char *fault; /* AUTH_SYSTEM_ERROR: a sentence for the log, without secrets; else NULL */
};

/* Comes once; the check is gone then. The verdict's texts are borrowed. */
typedef void auth_on_verdict(void *user, const struct auth_verdict *verdict);

struct auth_checker {
    /* The token is NUL-terminated, 1...AUTH_TOKEN_MAX bytes without control characters, and
     * borrowed: what the checker copies of it it wipes. 0, or a negative errno; on_verdict never
     * comes before this returns. */
    int (*start)(struct auth_checker *checker, const char *token, size_t length,
                 auth_on_verdict *on_verdict, void *user, void **ret_check);
    void (*cancel)(void *check);                /* no on_verdict any more */
    void (*free)(struct auth_checker *checker); /* without checks under way */
};

/* setting: https://client_id:client_secret@host[:port][/base]; http:// for loopback hosts only.
 * timeout: microseconds for a whole check. 0, or -1 with a sentence, without secrets, in `error`.
 */
int auth_oauth_new(struct loop *loop, const char *setting, uint64_t timeout,
                   struct auth_checker **ret_checker, char *error, size_t error_size)
    __attribute__((warn_unused_result));
/* The program gets the token and a line feed on its standard input. Exit 0 accepts, and the first
 * line on its standard output is the user's name (none: "token-" and 12 hex digits of the token's
 * SHA-256); exit 1 refuses; all else is a system error. */
int auth_exec_new(struct loop *loop, const char *program, uint64_t timeout,
                  struct auth_checker **ret_checker) __attribute__((warn_unused_result));

/* May these bytes be an owner's name? 1...AUTH_OWNER_MAX bytes of UTF-8 without control characters.
 */
bool auth_is_owner(const char *name, size_t length);
