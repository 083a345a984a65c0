#include <string.h>

#include "control/api_internal.h"
#include "net/secret.h"

static void answer_login(struct api_call *call, const char *login)
{
    api_answer_json(call, json_pack("{s:s}", "token", login));
}

static void logged_in(void *user, int error, const char *login, const struct account *account,
                      uint64_t wait)
{
    struct api_call *call = user;
    if (error)
        api_answer_account_error(call, error, wait);
    else
        answer_login(call, login);
}

void api_login_login(struct api_call *call)
{
    struct api_values in = {.object = call->body};
    const char *email = api_values_needed_text(&in, "email", 1, ACCOUNT_EMAIL_MAX);
    const char *password = api_values_needed_text(&in, "password", 1, SECRET_PASSWORD_MAX);
    if (!api_values_refuse(&in, call))
        accounts_login(call->api->accounts, email, password, &call->address, logged_in, call);
}

void api_login_refresh(struct api_call *call)
{
    char login[JWT_MAX];
    int length = accounts_refresh(call->api->accounts, &call->claims, login);
    if (length < 0)
        api_answer_account_error(call, length, 0);
    else
        answer_login(call, login);
}

void api_login_logout(struct api_call *call)
{
    struct api_values in = {.object = call->body};
    bool all = false;
    api_values_flag(&in, "all", &all);
    if (!api_values_refuse(&in, call))
        accounts_logout(call->api->accounts, &call->claims, all, api_user_done, call);
}
