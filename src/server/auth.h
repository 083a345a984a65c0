/* Who is this device? Shared tokens are known at once; OAuth servers and programs answer later.
 *
 * Lives on one loop (the main thread's) with one cache for all workers; workers ask by message.
 * OAuth wins over a program, a program over shared tokens, when several are set. Tokens of accounts
 * (device tokens and logins) are judged beside all of them, by auth_set_judge()'s. The cache holds
 * digests, never tokens.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/loop.h"
#include "server/config.h"
#include "server/grant.h"

enum auth_result {
    AUTH_ACCEPTED,
    AUTH_REFUSED,
    AUTH_SYSTEM_ERROR, /* the check itself failed: answered authed:false, logged as ours */
    AUTH_NOT_MINE,     /* of auth_judge alone */
};

#define AUTH_OWNER_MAX 128

struct auth;

/* True when `config` needs no check beyond its shared tokens: no OAuth server, no program, no
 * accounts. */
bool auth_is_local(const struct config *config);
/* Do shared tokens count? Then workers use tokens_find() themselves, before they ask. */
bool auth_knows_tokens(const struct config *config);

/* Are the settings of OAuth server and program usable? 0, or -1 with a sentence for the operator,
 * without secrets. */
int auth_validate(const struct serve_settings *settings, char *error, size_t error_size)
    __attribute__((warn_unused_result));

/* Takes a reference of `config`. 0, or a negative errno (-EINVAL: auth_validate() says why). */
int auth_new(struct loop *loop, struct config *config, struct auth **ret_auth)
    __attribute__((warn_unused_result));
/* Who judges tokens of accounts, at once, on auth's loop; NULL: nobody. The token has length bytes,
 * NUL-terminated, without control characters. AUTH_ACCEPTED with a grant of which the caller gets a
 * reference, AUTH_REFUSED, or AUTH_NOT_MINE: it isn't a token of an account, as far as one can see.
 */
typedef enum auth_result auth_judge(void *user, const char *token, size_t length,
                                    struct grant **ret_grant);
void auth_set_judge(struct auth *auth, auth_judge *judge, void *user);
/* After a reload; the cache is emptied. Checks under way end by the old configuration and aren't
 * cached; those that still wait are done by the new one. */
void auth_configure(struct auth *auth, struct config *config);
/* When nobody asks any more (the workers' threads have ended): open questions are freed without an
 * answer, also those that the loop still brings, in loop_free() at the latest. NULL is fine. */
void auth_free(struct auth *auth);

/* A token that no check may see: longer, empty, or with control characters (a NUL would end it
 * early for one checker, a line feed for another). It is refused, where shared tokens don't decide.
 */
#define AUTH_TOKEN_MAX PLEX_TOKEN_MAX

/* A question from a worker's loop: fill it, post it with auth_ask(); `answered` runs on `reply_to`
 * as a message with result, owner and grant set, and frees it with auth_question_free(). The token
 * is wiped as soon as it isn't needed. Checks under way are bounded (64 at once, 1024 waiting, each
 * at most as long as a check may last; beyond: AUTH_SYSTEM_ERROR). Questions about one token at one
 * time share its check. */
struct auth_question {
    struct loop_message message; /* first */
    struct loop *reply_to;
    void (*answered)(struct loop_message *message);
    struct auth *auth;
    uint64_t tunnel;     /* the asker's own: which tunnel, */
    uint64_t generation; /* and which of its tokens */
    void *user;
    enum auth_result result;
    char owner[AUTH_OWNER_MAX + 1];
    struct grant *grant; /* a reference; NULL: the token isn't an account's */
    size_t token_length;
    char token[];
};

struct auth_question *auth_question_new(const char *token, size_t length); /* NULL without memory */
void auth_ask(struct auth *auth, struct loop *auth_loop,
              struct auth_question *question); /* any thread */
void auth_question_free(struct auth_question *question);
