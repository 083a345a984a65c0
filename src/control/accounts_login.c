/* Passwords and logins. */
#include <stdio.h>
#include <string.h>

#include "control/accounts_internal.h"
#include "net/pki.h"

#define DAY 86400 /* seconds */

/* --- With a password --- */

static void tell_login(struct question *question)
{
    bool is_good = question->error == ACCOUNTS_OK;
    question->on.login(question->user, question->error, question->login,
                       is_good ? question->account : NULL, question->wait);
}

/* For nobody's password the same work is done: time doesn't tell who has an account. */
static void run_verify(struct work *work)
{
    struct question *question = question_of_work(work);
    char nobody[SECRET_HASH_MAX];
    question->has_run = true;
    if (*question->stored_hash)
        question->is_right = secret_verify_password(question->password, question->stored_hash);
    else
        question->has_failed = secret_hash_password(question->password, nobody) < 0;
}

static int state_error(const struct account *account)
{
    switch (account->state) {
    case ACCOUNT_PENDING:
        return ACCOUNTS_PENDING;
    case ACCOUNT_DISABLED:
        return ACCOUNTS_DISABLED;
    case ACCOUNT_ACTIVE:
        break;
    }
    return ACCOUNTS_OK;
}

/* -1: no random bytes. */
static int make_jti(char jti[JWT_JTI_MAX + 1])
{
    unsigned char bytes[JWT_JTI_MAX / 2];
    if (pki_random(bytes, sizeof bytes) < 0)
        return -1;
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(jti + 2 * i, 3, "%02x", bytes[i]);
    return 0;
}

/* jti: of the login that it goes on with; "" for a new one. The length, or ACCOUNTS_MEMORY: no
 * random bytes, or no memory. */
static int make_login(const struct accounts *accounts, const struct account *account,
                      const char *jti, char buffer[JWT_MAX])
{
    struct jwt_claims claims = {.user_id = account->id,
                                .issued = accounts_now(accounts),
                                .expires =
                                    accounts_now(accounts) + accounts->options.login_lifetime,
                                .gen = account->gen};
    snprintf(claims.jti, sizeof claims.jti, "%s", jti);
    if (!*jti && make_jti(claims.jti) < 0)
        return ACCOUNTS_MEMORY;
    int length = jwt_make(accounts->jwt_key, &claims, buffer);
    return length < 0 ? ACCOUNTS_MEMORY : length;
}

/* Of guesses that were let in together, those answered after the limit tell nothing. */
static int ask_delay(struct question *question)
{
    const struct accounts *accounts = question->accounts;
    question->wait =
        login_delay_ask(accounts->delay, question->has_address ? &question->address : NULL,
                        question->email, accounts_clock(accounts));
    return question->wait ? ACCOUNTS_WAIT : ACCOUNTS_OK;
}

static void note_wrong(const struct question *question)
{
    const struct accounts *accounts = question->accounts;
    login_delay_wrong(accounts->delay, question->has_address ? &question->address : NULL,
                      question->email, accounts_clock(accounts));
}

static int judge(struct question *question)
{
    struct accounts *accounts = question->accounts;
    struct account_entry *entry = accounts_entry(accounts, question->id);
    int error = question->has_failed ? ACCOUNTS_MEMORY : ask_delay(question);
    if (error)
        return error;
    if (!question->is_right || !entry || !entry->account ||
        strcmp(entry->account->password_hash, question->stored_hash) != 0) {
        note_wrong(question);
        return ACCOUNTS_WRONG;
    }
    login_delay_right(accounts->delay, question->email);
    error = state_error(entry->account);
    if (error)
        return error;
    question->account = account_ref(entry->account);
    int length = make_login(accounts, entry->account, "", question->login);
    return length < 0 ? length : ACCOUNTS_OK;
}

static void verified(struct question *question)
{
    int error = judge(question);
    if (error)
        *question->login = 0;
    question_finish(question, error);
}

static void login(struct question *question)
{
    int error = question->error ? question->error : ask_delay(question);
    if (!error && (!*question->password || strlen(question->password) > SECRET_PASSWORD_MAX)) {
        note_wrong(question); /* nobody's */
        error = ACCOUNTS_WRONG;
    }
    if (error) {
        question_finish(question, error);
        return;
    }
    const struct account *account = accounts_find_email(question->accounts, question->email);
    if (account) {
        question->id = account->id;
        snprintf(question->stored_hash, sizeof question->stored_hash, "%s", account->password_hash);
    }
    question_work(question, run_verify, verified);
}

void accounts_login(struct accounts *accounts, const char *email, const char *password,
                    const union address *address, accounts_on_login *on_done, void *user)
{
    struct question *question = question_new(accounts, tell_login, user);
    if (!question) {
        on_done(user, ACCOUNTS_MEMORY, "", NULL, 0);
        return;
    }
    question->on.login = on_done;
    question_keep(question, email, &question->email);
    question_keep(question, password, &question->password);
    question->has_address = address;
    if (address)
        question->address = *address;
    question_post(question, login);
}

/* --- With a login --- */

/* Is it still one, whatever its own time says? */
static int check_claims(const struct accounts *accounts, const struct jwt_claims *claims,
                        struct account **ret_account)
{
    const struct account_entry *entry = accounts_entry(accounts, claims->user_id);
    struct denied_login *denied;
    if (!entry || !entry->account)
        return ACCOUNTS_UNKNOWN;
    HASH_FIND(hh, accounts->denied, claims->jti, strlen(claims->jti), denied);
    if (denied || claims->gen != entry->account->gen)
        return ACCOUNTS_DENIED;
    int error = state_error(entry->account);
    if (!error)
        *ret_account = entry->account;
    return error;
}

int accounts_check_login(struct accounts *accounts, const char *login_text, size_t length,
                         struct account **ret_account, struct jwt_claims *ret_claims)
{
    struct jwt_claims claims;
    switch (jwt_parse(accounts->jwt_key, login_text, length, accounts_now(accounts), &claims)) {
    case JWT_EXPIRED:
        return ACCOUNTS_EXPIRED;
    case JWT_OK:
        break;
    case JWT_BAD:
    case JWT_FORGED:
    case JWT_FUTURE:
        return ACCOUNTS_UNKNOWN;
    }
    int error = check_claims(accounts, &claims, ret_account);
    if (!error)
        *ret_claims = claims;
    return error;
}

int accounts_refresh(struct accounts *accounts, const struct jwt_claims *claims,
                     char buffer[JWT_MAX])
{
    struct account *account;
    int error = claims->expires <= accounts_now(accounts)
                    ? ACCOUNTS_EXPIRED
                    : check_claims(accounts, claims, &account);
    return error ? error : make_login(accounts, account, claims->jti, buffer);
}

/* --- Without one --- */

static struct denied_login *find_denied(const struct question *question)
{
    struct denied_login *denied;
    HASH_FIND(hh, question->accounts->denied, question->claims.jti, strlen(question->claims.jti),
              denied);
    return denied;
}

static void end_login(const struct question *question, struct denied_login *denied)
{
    const struct account_entry *entry =
        accounts_entry(question->accounts, question->claims.user_id);
    denied->is_stored = true;
    if (entry) /* else its tunnels have ended with it */
        accounts_tell_revoked(
            question->accounts,
            &(struct accounts_revoked){.owner = entry->uuid, .login = question->claims.jti});
}

/* What it was refreshed to may be good for longer than what it is logged out with, and longer than
 * logins are now: the setting may have been changed. */
static uint64_t last_end(const struct accounts *accounts, const struct jwt_claims *claims)
{
    uint64_t lifetime = accounts->options.login_lifetime;
    uint64_t latest = accounts_now(accounts) + (lifetime > DAY ? lifetime : DAY);
    return claims->expires > latest ? claims->expires : latest;
}

static void after_denying(struct question *question)
{
    struct denied_login *denied = find_denied(question);
    denied->storing--;
    if (!question->error)
        end_login(question, denied);
    else if (!denied->is_stored && !denied->storing)
        accounts_remove_denied(question->accounts, denied); /* it is good again */
    question_finish(question, question->error);
}

static void logout(struct question *question)
{
    struct accounts *accounts = question->accounts;
    const struct jwt_claims *claims = &question->claims;
    struct denied_login *denied = NULL;
    if (!find_denied(question) && HASH_COUNT(accounts->denied) >= ACCOUNTS_DENIED_MAX) {
        question_finish(question, ACCOUNTS_BUSY);
        return;
    }
    uint64_t expires = last_end(accounts, claims);
    denied = accounts_add_denied(accounts, claims->jti, expires);
    if (!denied) {
        question_finish(question, ACCOUNTS_MEMORY);
        return;
    }
    denied->storing++;
    question_store(question,
                   store_deny_login(accounts->store, claims->jti, expires, accounts_now(accounts),
                                    question_stored, question),
                   after_denying);
}

void accounts_logout(struct accounts *accounts, const struct jwt_claims *claims, bool all,
                     accounts_on_done *on_done, void *user)
{
    if (all) {
        accounts_logout_all(accounts, claims, on_done, user);
        return;
    }
    struct question *question = question_new(accounts, question_tell_done, user);
    if (!question) {
        on_done(user, ACCOUNTS_MEMORY);
        return;
    }
    question->on.done = on_done;
    question->claims = *claims;
    question_post(question, logout);
}
