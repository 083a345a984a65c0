/* A login that outlives its token: asks the API for the next one in good time, beside the loop. */
#pragma once

#include <stdint.h>

#include "agent/login_store.h"
#include "net/loop.h"

struct login_keeper;

/* login: copied. on_token comes on the loop with each new token, borrowed until the next one or
 * login_keeper_stop(). Nothing is asked before login_keeper_start(). NULL: no memory. */
struct login_keeper *login_keeper_new(const struct login *login);
/* 0 or a negative errno. */
int login_keeper_start(struct login_keeper *keeper, struct loop *loop,
                       void (*on_token)(void *user, const char *token), void *user)
    __attribute__((warn_unused_result));
/* Asks now, unless it is being asked already. */
void login_keeper_refresh(struct login_keeper *keeper);
/* Before loop_free(); waits for what is being asked. NULL is fine. */
void login_keeper_stop(struct login_keeper *keeper);
const char *login_keeper_token(const struct login_keeper *keeper); /* the newest */
void login_keeper_free(struct login_keeper *keeper);               /* stopped; NULL is fine */

/* Seconds until the token is to be replaced: half of what is left of it, a minute at least. */
uint64_t login_keeper_wait(uint64_t expires, uint64_t now);
