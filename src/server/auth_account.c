#include "server/auth_account.h"

#include <string.h>

#include "base/log.h"

#define TOKEN_PREFIX "sp_"

static enum auth_result refuse(int error)
{
    log_write(LOG_INFO, LOG_FIELDS(LOG_TEXT("reason", account_error_text(error))),
              "an account's token was refused");
    return AUTH_REFUSED;
}

static enum auth_result grant_to(struct auth_account *own, const char *owner,
                                 const struct device_token *token, const char *login,
                                 struct grant **ret_grant)
{
    struct grant *grant = grants_take(own->grants, owner, token, login);
    if (!grant)
        return AUTH_SYSTEM_ERROR;
    *ret_grant = grant;
    return AUTH_ACCEPTED;
}

static enum auth_result judge_token(struct auth_account *own, const char *text, size_t length,
                                    struct grant **ret_grant)
{
    struct device_token *token;
    int error = accounts_check_token(own->accounts, text, length, &token);
    if (!error)
        return grant_to(own, token->owner, token, NULL, ret_grant);
    return error == ACCOUNTS_UNKNOWN ? AUTH_NOT_MINE : refuse(error);
}

static enum auth_result judge_login(struct auth_account *own, const char *text, size_t length,
                                    struct grant **ret_grant)
{
    struct account *account;
    struct jwt_claims claims;
    int error = accounts_check_login(own->accounts, text, length, &account, &claims);
    if (!error)
        return grant_to(own, account->uuid, NULL, claims.jti, ret_grant);
    return error == ACCOUNTS_UNKNOWN ? AUTH_NOT_MINE : refuse(error);
}

enum auth_result auth_account_judge(void *user, const char *token, size_t length,
                                    struct grant **ret_grant)
{
    size_t prefix = strlen(TOKEN_PREFIX);
    if (length >= prefix && !memcmp(token, TOKEN_PREFIX, prefix))
        return judge_token(user, token, length, ret_grant);
    return judge_login(user, token, length, ret_grant);
}
