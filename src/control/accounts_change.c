/* Accounts are changed and removed: one change of an account at a time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/accounts_internal.h"

/* --- Whose turn it is --- */

static void start(struct question *question);
static void remove_now(struct question *question);

static struct account_entry *changing_entry(const struct question *question)
{
    return accounts_entry(question->accounts, question->id);
}

void accounts_take_turn(struct question *question)
{
    struct account_entry *entry = changing_entry(question);
    if (!entry || !entry->account) {
        question_finish(question, ACCOUNTS_UNKNOWN);
        return;
    }
    if (!entry->changing) {
        entry->changing = question;
        start(question);
        return;
    }
    if (entry->waiting == ACCOUNTS_CHANGES_MAX) {
        question_finish(question, ACCOUNTS_BUSY);
        return;
    }
    entry->waiting++;
    question->place = AT_ENTRY;
    question->behind = NULL;
    *entry->last = question;
    entry->last = &question->behind;
}

static struct question *take_waiting(struct account_entry *entry)
{
    struct question *question = entry->first;
    if (question) {
        entry->first = question->behind;
        if (!entry->first)
            entry->last = &entry->first;
        entry->waiting--;
    }
    return question;
}

/* The next one goes on in a turn of its own, as who is told now may do anything. */
static void end_turn(struct account_entry *entry, struct question *question, int error)
{
    entry->changing = take_waiting(entry);
    if (entry->changing)
        question_post(entry->changing, start);
    question_finish(question, error);
}

/* --- A change --- */

static bool has_other_email(const struct account_entry *entry, const char *email)
{
    char key[ACCOUNT_EMAIL_MAX + 1];
    accounts_fold_email(email, key);
    return strcmp(key, entry->email->key) != 0;
}

static int reserve_email(struct question *question, struct account_entry *entry)
{
    struct accounts *accounts = question->accounts;
    if (!question->email || !has_other_email(entry, question->email))
        return ACCOUNTS_OK;
    if (accounts_entry_of_email(accounts, question->email))
        return ACCOUNTS_TAKEN;
    entry->email_wanted = accounts_add_email(accounts, entry, question->email);
    return entry->email_wanted ? ACCOUNTS_OK : ACCOUNTS_MEMORY;
}

static void cancel_email(struct question *question, struct account_entry *entry)
{
    accounts_remove_email(question->accounts, entry->email_wanted);
    entry->email_wanted = NULL;
}

static bool is_outdated(const struct question *question, const struct account *account)
{
    if (*question->code)
        return strcmp(question->code, account->confirm) != 0 || account->state != ACCOUNT_PENDING;
    if (question->verifies) /* the password was changed while it was compared */
        return strcmp(question->stored_hash, account->password_hash) != 0;
    return question->claims.user_id && question->claims.gen != account->gen;
}

/* The account as it is to be. NULL: no memory. */
static struct account *build(const struct question *question, const struct account *before)
{
    struct account values = *before;
    if (question->email)
        values.email = question->email;
    if (question->name)
        values.name = question->name;
    if (question->sshkey)
        values.sshkey = *question->sshkey ? question->sshkey : NULL;
    if (*question->password_hash)
        values.password_hash = (char *)question->password_hash;
    if (*question->password_hash || question->raises_gen)
        values.gen++;
    if (question->has_quota)
        values.quota_bytes = question->quota_bytes;
    if (question->has_state)
        values.state = question->state;
    if (values.state != ACCOUNT_PENDING)
        memset(values.confirm, 0, sizeof values.confirm);
    return account_new(&values);
}

/* Memory has it from now on. */
static void adopt(struct question *question, struct account_entry *entry)
{
    struct accounts *accounts = question->accounts;
    enum account_state before = entry->account->state;
    bool ends_logins = entry->account->gen != question->account->gen;
    struct accounts_revoked revoked = {.owner = entry->uuid};
    if (entry->email_wanted) {
        accounts_remove_email(accounts, entry->email);
        entry->email = entry->email_wanted;
        entry->email_wanted = NULL;
    }
    account_unref(entry->account);
    entry->account = account_ref(question->account);
    accounts_index_code(accounts, entry);
    bool is_disabled = before != ACCOUNT_DISABLED && entry->account->state == ACCOUNT_DISABLED;
    if (ends_logins && !is_disabled)
        revoked.login = "";
    if (ends_logins || is_disabled)
        accounts_tell_revoked(accounts, &revoked);
}

static void after_store(struct question *question)
{
    struct account_entry *entry = changing_entry(question);
    if (question->error)
        cancel_email(question, entry);
    else
        adopt(question, entry);
    end_turn(entry, question, question->error);
}

static void start(struct question *question)
{
    struct account_entry *entry = changing_entry(question);
    struct store *store = question->accounts->store;
    if (question->is_removal) {
        remove_now(question);
        return;
    }
    int error = is_outdated(question, entry->account)
                    ? (*question->code ? ACCOUNTS_UNKNOWN
                                       : (question->verifies ? ACCOUNTS_WRONG : ACCOUNTS_DENIED))
                    : reserve_email(question, entry);
    if (!error) {
        question->account = build(question, entry->account);
        error = question->account ? ACCOUNTS_OK : ACCOUNTS_MEMORY;
    }
    if (error) {
        cancel_email(question, entry);
        end_turn(entry, question, error);
        return;
    }
    question_store(question, store_put_account(store, question->account, question_stored, question),
                   after_store);
}

/* --- Changed --- */

static void run_change(struct work *work)
{
    struct question *question = question_of_work(work);
    question->has_run = true;
    question->is_right =
        !question->verifies || secret_verify_password(question->current, question->stored_hash);
    if (question->is_right && question->password)
        question->has_failed =
            secret_hash_password(question->password, question->password_hash) < 0;
}

/* Who has a login may not guess the password with it. */
static void change_hashed(struct question *question)
{
    struct accounts *accounts = question->accounts;
    const struct account_entry *entry = changing_entry(question);
    uint64_t now = accounts_clock(accounts);
    if (question->has_failed || !entry || !entry->account) {
        question_finish(question, question->has_failed ? ACCOUNTS_MEMORY : ACCOUNTS_UNKNOWN);
        return;
    }
    question->wait =
        question->verifies ? login_delay_ask(accounts->delay, NULL, entry->email->key, now) : 0;
    if (question->wait) {
        question_finish(question, ACCOUNTS_WAIT);
        return;
    }
    if (!question->is_right) {
        login_delay_wrong(accounts->delay, NULL, entry->email->key, now);
        question_finish(question, ACCOUNTS_WRONG);
        return;
    }
    accounts_take_turn(question);
}

static int check_change(const struct question *question)
{
    int error = question->error;
    if (!error && question->email)
        error = accounts_check_email(question->email);
    if (!error && question->name)
        error = accounts_check_name(question->name);
    if (!error && question->password)
        error = accounts_check_password(question->password);
    return error ? error : accounts_check_sshkey(question->sshkey);
}

static void change(struct question *question)
{
    struct accounts *accounts = question->accounts;
    const struct account_entry *entry = changing_entry(question);
    int error = check_change(question);
    if (!error && (!entry || !entry->account))
        error = ACCOUNTS_UNKNOWN;
    if (!error && question->current) {
        question->verifies = true;
        snprintf(question->stored_hash, sizeof question->stored_hash, "%s",
                 entry->account->password_hash);
        question->wait =
            login_delay_ask(accounts->delay, NULL, entry->email->key, accounts_clock(accounts));
        error = question->wait ? ACCOUNTS_WAIT : ACCOUNTS_OK;
        if (!error && strlen(question->current) > SECRET_PASSWORD_MAX)
            error = ACCOUNTS_WRONG;
    }
    if (error)
        question_finish(question, error);
    else if (question->current || question->password)
        question_work(question, run_change, change_hashed);
    else
        accounts_take_turn(question);
}

void accounts_change(struct accounts *accounts, uint64_t id, const struct account_values *values,
                     const char *current, accounts_on_account *on_done, void *user)
{
    struct question *question = question_new(accounts, question_tell_account, user);
    if (!question) {
        on_done(user, ACCOUNTS_MEMORY, NULL, 0);
        return;
    }
    question->on.account = on_done;
    question->id = id;
    question_keep_values(question, values);
    question_keep(question, current, &question->current);
    question_post(question, change);
}

static struct question *new_change(struct accounts *accounts, uint64_t id,
                                   accounts_on_done *on_done, void *user)
{
    struct question *question = question_new(accounts, question_tell_done, user);
    if (!question) {
        on_done(user, ACCOUNTS_MEMORY);
        return NULL;
    }
    question->on.done = on_done;
    question->id = id;
    return question;
}

void accounts_set_state(struct accounts *accounts, uint64_t id, enum account_state state,
                        accounts_on_done *on_done, void *user)
{
    struct question *question = new_change(accounts, id, on_done, user);
    if (!question)
        return;
    question->has_state = true;
    question->state = state;
    question_post(question, accounts_take_turn);
}

void accounts_set_quota(struct accounts *accounts, uint64_t id, uint64_t bytes,
                        accounts_on_done *on_done, void *user)
{
    struct question *question = new_change(accounts, id, on_done, user);
    if (!question)
        return;
    question->has_quota = true;
    question->quota_bytes = bytes < INT64_MAX ? bytes : INT64_MAX;
    question_post(question, accounts_take_turn);
}

void accounts_logout_all(struct accounts *accounts, const struct jwt_claims *claims,
                         accounts_on_done *on_done, void *user)
{
    struct question *question = new_change(accounts, claims->user_id, on_done, user);
    if (!question)
        return;
    question->claims = *claims;
    question->raises_gen = true;
    question_post(question, accounts_take_turn);
}

/* --- Removed --- */

static void after_removing(struct question *question)
{
    struct accounts *accounts = question->accounts;
    struct account_entry *entry = changing_entry(question);
    struct question *waiting;
    if (question->error) {
        end_turn(entry, question, question->error);
        return;
    }
    while ((waiting = take_waiting(entry)))
        question_post(waiting, accounts_take_turn); /* and finds nothing */
    accounts_tell_revoked(accounts, &(struct accounts_revoked){.owner = entry->uuid});
    accounts_remove_entry(accounts, entry);
    question_finish(question, ACCOUNTS_OK);
}

static void remove_now(struct question *question)
{
    question_store(
        question,
        store_remove_account(question->accounts->store, question->id, question_stored, question),
        after_removing);
}

void accounts_remove(struct accounts *accounts, uint64_t id, accounts_on_done *on_done, void *user)
{
    struct question *question = new_change(accounts, id, on_done, user);
    if (!question)
        return;
    question->is_removal = true;
    question_post(question, accounts_take_turn);
}
