#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "control/accounts_internal.h"

struct question *question_new(struct accounts *accounts, void (*tell)(struct question *question),
                              void *user)
{
    struct question *question = calloc(1, sizeof *question);
    if (!question)
        return NULL;
    question->accounts = accounts;
    question->tell = tell;
    question->user = user;
    question->link = &accounts->questions;
    question->next = accounts->questions;
    if (question->next)
        question->next->link = &question->next;
    accounts->questions = question;
    return question;
}

void question_keep(struct question *question, const char *text, char **ret_copy)
{
    *ret_copy = text ? strdup(text) : NULL;
    if (text && !*ret_copy)
        question->error = ACCOUNTS_MEMORY;
}

void question_keep_values(struct question *question, const struct account_values *values)
{
    question_keep(question, values->email, &question->email);
    question_keep(question, values->name, &question->name);
    question_keep(question, values->sshkey, &question->sshkey);
    question_keep(question, values->password, &question->password);
}

static void free_secret(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

static void free_question(struct question *question)
{
    free(question->email);
    free(question->name);
    free(question->sshkey);
    free_secret(question->password);
    free_secret(question->current);
    account_unref(question->account);
    device_token_unref(question->token);
    explicit_bzero(question, sizeof *question);
    free(question);
}

static void unlink_question(struct question *question)
{
    *question->link = question->next;
    if (question->next)
        question->next->link = question->link;
}

void question_finish(struct question *question, int error)
{
    unlink_question(question);
    question->error = error;
    question->tell(question);
    free_question(question);
}

void question_tell_account(struct question *question)
{
    question->on.account(question->user, question->error,
                         question->error ? NULL : question->account, question->wait);
}

void question_tell_done(struct question *question)
{
    question->on.done(question->user, question->error);
}

/* It has come back to the loop. */
static void arrive(struct question *question)
{
    if (question->accounts)
        question->go_on(question);
    else
        free_question(question);
}

/* --- The loop --- */

static void on_message(struct loop_message *message)
{
    struct question *question =
        (struct question *)(void *)((char *)message - offsetof(struct question, message));
    arrive(question);
}

void question_post(struct question *question, void (*go_on)(struct question *question))
{
    question->place = AT_LOOP;
    question->go_on = go_on;
    question->message.run = on_message;
    loop_post(question->accounts->loop, &question->message);
}

/* --- The hashing queue --- */

struct question *question_of_work(struct work *work)
{
    return (struct question *)(void *)((char *)work - offsetof(struct question, work));
}

static void on_worked(struct work *work)
{
    struct question *question = question_of_work(work);
    question->has_failed |= !question->has_run;
    arrive(question);
}

void question_work(struct question *question, void (*run)(struct work *work),
                   void (*go_on)(struct question *question))
{
    question->place = AT_WORK;
    question->go_on = go_on;
    question->work.run = run;
    question->work.done = on_worked;
    if (work_queue_add(question->accounts->work, &question->work) < 0)
        question_finish(question, ACCOUNTS_BUSY);
}

/* --- The store --- */

void question_store(struct question *question, int asked, void (*go_on)(struct question *question))
{
    question->place = AT_STORE;
    question->go_on = go_on;
    question->error = ACCOUNTS_OK;
    if (asked == STORE_OK)
        return;
    log_write(LOG_ERROR, LOG_FIELDS(LOG_TEXT("error", store_error_text(asked))),
              "can't store a change of an account");
    question->error = asked == STORE_BUSY ? ACCOUNTS_BUSY : ACCOUNTS_MEMORY;
    go_on(question);
}

void question_stored(void *user, const char *error)
{
    struct question *question = user;
    if (error) {
        log_write(LOG_ERROR, LOG_FIELDS(LOG_TEXT("error", error)),
                  "can't store a change of an account");
        question->error = ACCOUNTS_STORE;
    }
    question->go_on(question);
}

/* --- The end --- */

/* What is at the loop or at the hashing queue comes back once, and finds nobody. */
void question_drop_all(struct accounts *accounts)
{
    while (accounts->questions) {
        struct question *question = accounts->questions;
        unlink_question(question);
        question->accounts = NULL;
        if (question->place == AT_STORE)
            store_forget(accounts->store, question);
        if (question->place == AT_STORE || question->place == AT_ENTRY)
            free_question(question);
    }
}
