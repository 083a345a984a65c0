/* Accounts are made and confirmed. */
#include <stdio.h>
#include <string.h>

#include "control/accounts_internal.h"
#include "net/pki.h"
#include "registry/uuid.h"

/* --- Made --- */

static void run_hash(struct work *work)
{
    struct question *question = question_of_work(work);
    question->has_run = true;
    question->has_failed = secret_hash_password(question->password, question->password_hash) < 0;
}

static void after_creating(struct question *question)
{
    struct accounts *accounts = question->accounts;
    struct account_entry *entry = accounts_entry(accounts, question->id);
    if (question->error) {
        accounts_remove_entry(accounts, entry);
    } else {
        entry->account = account_ref(question->account);
        accounts_index_code(accounts, entry);
    }
    question_finish(question, question->error);
}

static struct account *build_new(struct question *question)
{
    struct accounts *accounts = question->accounts;
    unsigned char bytes[16];
    struct account values = {
        .id = ++accounts->last_account,
        .email = question->email,
        .name = question->name,
        .sshkey = question->sshkey && *question->sshkey ? question->sshkey : NULL,
        .password_hash = question->password_hash,
        .gen = 1,
        .state = question->is_confirmed ? ACCOUNT_ACTIVE : ACCOUNT_PENDING,
        .created = accounts_now(accounts),
    };
    if (uuid_make(pki_random, values.uuid) < 0 || pki_random(bytes, sizeof bytes) < 0)
        return NULL;
    for (size_t i = 0; i < sizeof bytes && !question->is_confirmed; i++)
        snprintf(values.confirm + 2 * i, 3, "%02x", bytes[i]);
    return account_new(&values);
}

static void create_hashed(struct question *question)
{
    struct accounts *accounts = question->accounts;
    if (question->has_failed) {
        question_finish(question, ACCOUNTS_MEMORY);
        return;
    }
    if (accounts_entry_of_email(accounts, question->email)) {
        question_finish(question, ACCOUNTS_TAKEN);
        return;
    }
    question->account = build_new(question);
    if (!question->account || !accounts_add_entry(accounts, question->account)) {
        question_finish(question, ACCOUNTS_MEMORY);
        return;
    }
    question->id = question->account->id;
    question_store(question,
                   store_put_account(accounts->store, question->account, question_stored, question),
                   after_creating);
}

static void create(struct question *question)
{
    int error = question->error;
    if (!error)
        error = accounts_check_email(question->email);
    if (!error)
        error = accounts_check_name(question->name);
    if (!error)
        error = accounts_check_password(question->password);
    if (!error)
        error = accounts_check_sshkey(question->sshkey);
    if (error)
        question_finish(question, error);
    else
        question_work(question, run_hash, create_hashed);
}

void accounts_create(struct accounts *accounts, const struct account_values *values, bool confirmed,
                     accounts_on_account *on_done, void *user)
{
    struct question *question = question_new(accounts, question_tell_account, user);
    if (!question) {
        on_done(user, ACCOUNTS_MEMORY, NULL, 0);
        return;
    }
    question->on.account = on_done;
    question->is_confirmed = confirmed;
    question_keep_values(question, values);
    question_post(question, create);
}

/* --- Confirmed --- */

/* A code is made with its account, and never anew. */
static bool is_late(const struct accounts *accounts, const struct account *account)
{
    return accounts_now(accounts) >= account->created + ACCOUNT_CONFIRM_LIFETIME;
}

static void confirm(struct question *question)
{
    const struct account_entry *entry =
        *question->code ? accounts_entry_of_code(question->accounts, question->code) : NULL;
    if (entry && is_late(question->accounts, entry->account)) {
        question_finish(question, ACCOUNTS_EXPIRED);
        return;
    }
    if (entry)
        question->id = entry->id;
    accounts_take_turn(question);
}

void accounts_confirm(struct accounts *accounts, const char *code, accounts_on_account *on_done,
                      void *user)
{
    struct question *question = question_new(accounts, question_tell_account, user);
    if (!question) {
        on_done(user, ACCOUNTS_MEMORY, NULL, 0);
        return;
    }
    question->on.account = on_done;
    question->has_state = true;
    question->state = ACCOUNT_ACTIVE;
    if (strlen(code) < sizeof question->code)
        strcpy(question->code, code);
    question_post(question, confirm);
}
