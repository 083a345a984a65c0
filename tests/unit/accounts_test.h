/* What the tests of the accounts share: accounts over a store of their own, a clock that is moved,
 * and answers that are waited for. */
#pragma once

#include "store_test.h"

#include "control/accounts.h"

static struct accounts *accounts;
static uint64_t wall, ticks;

/* The last that was revoked. */
static char revoked_owner[ACCOUNT_ID_MAX + 1], revoked_token[ACCOUNT_ID_MAX + 1];
static char revoked_login[JWT_JTI_MAX + 1]; /* "none" when it isn't about logins */
static int revoked_count;

static inline uint64_t wall_clock(void)
{
    return wall;
}

static inline uint64_t tick_clock(void)
{
    return ticks;
}

static inline void on_revoked(void *user, const struct accounts_revoked *revoked)
{
    snprintf(revoked_owner, sizeof revoked_owner, "%s", revoked->owner);
    snprintf(revoked_token, sizeof revoked_token, "%s", revoked->token ? revoked->token->uuid : "");
    snprintf(revoked_login, sizeof revoked_login, "%s", revoked->login ? revoked->login : "none");
    revoked_count++;
}

static inline bool is_egress(void *user, const char *rules)
{
    return !strstr(rules, "nonsense");
}

static inline void open_accounts(void)
{
    static const unsigned char key[32] = "a key that only the tests have";
    const struct accounts_options options = {.jwt_key = key,
                                             .login_lifetime = 18000,
                                             .wall_clock = wall_clock,
                                             .clock = tick_clock,
                                             .on_revoked = on_revoked,
                                             .is_egress = is_egress};
    open_store();
    if (accounts_new(loop, store, &options, &accounts, error, sizeof error) < 0)
        fail_msg("%s", error);
}

static inline void close_accounts(void)
{
    accounts_free(accounts);
    accounts = NULL;
    close_store();
}

static inline void reopen_accounts(void)
{
    close_accounts();
    open_accounts();
}

static inline int set_up_accounts(void **state)
{
    wall = 1767225600; /* 2026-01-01 */
    ticks = 1;
    revoked_count = 0;
    if (set_up(state) < 0)
        return -1;
    open_accounts();
    return 0;
}

static inline int tear_down_accounts(void **state)
{
    accounts_free(accounts);
    accounts = NULL;
    return tear_down(state);
}

/* --- Answers --- */

struct answer {
    bool has_come;
    int error;
    uint64_t id, wait;
    char uuid[ACCOUNT_ID_MAX + 1], code[33], secret[ACCOUNT_SECRET_SIZE], login[JWT_MAX];
};

static inline void take_account(void *user, int error_code, const struct account *account,
                                uint64_t wait)
{
    struct answer *answer = user;
    assert_false(answer->has_come);
    assert_int_equal(!account, error_code != 0);
    answer->has_come = true;
    answer->error = error_code;
    answer->wait = wait;
    if (!account)
        return;
    answer->id = account->id;
    memcpy(answer->uuid, account->uuid, sizeof answer->uuid);
    memcpy(answer->code, account->confirm, sizeof answer->code);
}

static inline void take_login(void *user, int error_code, const char *login,
                              const struct account *account, uint64_t wait)
{
    struct answer *answer = user;
    take_account(user, error_code, account, wait);
    snprintf(answer->login, sizeof answer->login, "%s", login);
}

static inline void take_token(void *user, int error_code, const struct device_token *token,
                              const char *secret)
{
    struct answer *answer = user;
    assert_int_equal(!token, error_code != 0);
    answer->has_come = true;
    answer->error = error_code;
    snprintf(answer->secret, sizeof answer->secret, "%s", secret);
    if (token)
        memcpy(answer->uuid, token->uuid, sizeof answer->uuid);
}

static inline void take_done(void *user, int error_code)
{
    struct answer *answer = user;
    assert_false(answer->has_come);
    answer->has_come = true;
    answer->error = error_code;
}

static inline int answered(struct answer *answer)
{
    test_run_until(loop, test_flag_holds, &answer->has_come);
    return answer->error;
}

/* --- What is asked --- */

static inline int create(const char *email, const char *name, const char *password, bool confirmed,
                         struct answer *answer)
{
    const struct account_values values = {.email = email, .name = name, .password = password};
    *answer = (struct answer){0};
    accounts_create(accounts, &values, confirmed, take_account, answer);
    assert_false(answer->has_come); /* never at once */
    return answered(answer);
}

/* An account that is active; its id. */
static inline uint64_t create_active(const char *email)
{
    struct answer answer;
    assert_int_equal(create(email, "Ann", "password 1", true, &answer), ACCOUNTS_OK);
    return answer.id;
}

static inline int login(const char *email, const char *password, struct answer *answer)
{
    union address address;
    assert_int_equal(address_from_host("192.0.2.1", 1, &address), 0);
    *answer = (struct answer){0};
    accounts_login(accounts, email, password, &address, take_login, answer);
    assert_false(answer->has_come);
    return answered(answer);
}

static inline int check(const char *text, struct jwt_claims *ret_claims)
{
    struct account *account;
    return accounts_check_login(accounts, text, strlen(text), &account, ret_claims);
}

static inline int set_state(uint64_t id, enum account_state wanted)
{
    struct answer answer = {0};
    accounts_set_state(accounts, id, wanted, take_done, &answer);
    assert_false(answer.has_come);
    return answered(&answer);
}

static inline int remove_account(uint64_t id)
{
    struct answer answer = {0};
    accounts_remove(accounts, id, take_done, &answer);
    assert_false(answer.has_come);
    return answered(&answer);
}

static inline int change(uint64_t id, const struct account_values *values, const char *current)
{
    struct answer answer = {0};
    accounts_change(accounts, id, values, current, take_account, &answer);
    assert_false(answer.has_come);
    return answered(&answer);
}

/* The store refuses from now on: somebody's tool has put triggers there. */
static inline void break_store(sqlite3 **ret_other)
{
    *ret_other = change_and_keep(
        "CREATE TRIGGER no_accounts BEFORE INSERT ON accounts BEGIN SELECT raise(ABORT, 'no'); END;"
        "CREATE TRIGGER no_change BEFORE UPDATE ON accounts BEGIN SELECT raise(ABORT, 'no'); END;"
        "CREATE TRIGGER no_removal BEFORE DELETE ON accounts BEGIN SELECT raise(ABORT, 'no'); END;"
        "CREATE TRIGGER no_denial BEFORE INSERT ON denied_logins"
        " BEGIN SELECT raise(ABORT, 'no'); END;"
        "CREATE TRIGGER no_token BEFORE INSERT ON device_tokens BEGIN SELECT raise(ABORT, 'no');"
        " END;"
        "CREATE TRIGGER no_revoking BEFORE DELETE ON device_tokens BEGIN"
        " SELECT raise(ABORT, 'no'); END;"
        "CREATE TRIGGER no_usage BEFORE INSERT ON usage BEGIN SELECT raise(ABORT, 'no'); END");
}

static inline void mend_store(sqlite3 *other)
{
    assert_int_equal(sqlite3_exec(other,
                                  "DROP TRIGGER no_accounts; DROP TRIGGER no_change;"
                                  "DROP TRIGGER no_removal; DROP TRIGGER no_denial;"
                                  "DROP TRIGGER no_token; DROP TRIGGER no_revoking;"
                                  "DROP TRIGGER no_usage",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(other);
}
