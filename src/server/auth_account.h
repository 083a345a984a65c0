/* Tokens of accounts as auth.h has them judged: device tokens ("sp_...") and logins. */
#pragma once

#include "control/accounts.h"
#include "server/auth.h"
#include "server/grants.h"

struct auth_account {
    struct accounts *accounts;
    struct grants *grants;
};

/* An auth_judge; user: a struct auth_account. A token that looks like one of ours and isn't good is
 * logged with the reason, and refused. */
enum auth_result auth_account_judge(void *user, const char *token, size_t length,
                                    struct grant **ret_grant);
