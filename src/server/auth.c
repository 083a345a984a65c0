#include "server/auth.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "net/pki.h"
#include "server/auth_cache.h"
#include "server/auth_check.h"
#include "server/oauth_text.h"

#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

#define RUNNING_MAX 64 /* as many calls or processes as a small OAuth server or machine bears */
#define WAITING_MAX                                                                                \
    1024 /* at 10 ms a check, ten seconds' worth for 64: longer than that nobody waits */

#define COMPLAIN_EVERY 1000000 /* microseconds: a dead OAuth server must not fill the log */

/* A checker of one configuration; it outlives a reload until its last check has ended. */
struct generation {
    struct loop_deferred end; /* first; a checker can't be freed within its own callback */
    struct auth *auth;
    struct generation *next;
    struct auth_checker *checker;
    int checks;
};

/* One token being checked, for all who asked about it. */
struct check {
    UT_hash_handle hh;
    struct check *next, *prev; /* while waiting */
    struct auth *auth;
    struct generation *generation; /* NULL while waiting */
    void *running;
    uint64_t since;
    struct auth_question
        *questions; /* linked by message.next; the first keeps the token while waiting */
    unsigned char digest[AUTH_DIGEST_SIZE];
};

struct auth {
    struct loop *loop;
    struct config *config;
    /* Digests are salted anew by each configuration: nobody can aim at one slot of the tables, and
     * no answer of an older configuration is ever found again. */
    unsigned char salt[32];
    struct auth_cache cache;
    struct generation *current; /* NULL: shared tokens decide, or the checker couldn't be made */
    struct generation *generations;
    struct check *checks, *waiting;
    int running_count, waiting_count;
    uint64_t complained;
    int64_t suppressed;
    atomic_int posted; /* questions on their way here, which the loop may bring after auth_free() */
    auth_judge *judge; /* NULL: no accounts */
    void *judge_user;
    bool closed;
};

bool auth_knows_tokens(const struct config *config)
{
    return !config->settings.oauth && !config->settings.auth_exec;
}

bool auth_is_local(const struct config *config)
{
    return auth_knows_tokens(config) && !config->accounts_on;
}

int auth_validate(const struct serve_settings *settings, char *error, size_t error_size)
{
    if (settings->oauth) {
        struct oauth_address address;
        if (oauth_address_parse(settings->oauth, &address, error, error_size) < 0)
            return -1;
        oauth_address_deinit(&address);
    } else if (settings->auth_exec && strchr(settings->auth_exec, '/') &&
               access(settings->auth_exec, X_OK) < 0) {
        snprintf(error, error_size, "auth-exec: %.200s can't be run: %s", settings->auth_exec,
                 strerror(errno));
        return -1;
    }
    return 0;
}

/* Questions. */

struct auth_question *auth_question_new(const char *token, size_t length)
{
    struct auth_question *question = calloc(1, sizeof *question + length + 1);
    if (!question)
        return NULL;
    question->token_length = length;
    memcpy(question->token, token, length);
    return question;
}

static void wipe(struct auth_question *question)
{
    explicit_bzero(question->token, question->token_length);
    question->token_length = 0;
}

void auth_question_free(struct auth_question *question)
{
    if (!question)
        return;
    wipe(question);
    grant_unref(question->grant);
    free(question);
}

static void answer(struct auth_question *question, enum auth_result result, const char *owner)
{
    wipe(question);
    question->result = result;
    snprintf(question->owner, sizeof question->owner, "%s", owner ? owner : "");
    question->message.run = question->answered;
    loop_post(question->reply_to, &question->message);
}

static void answer_by_shared_tokens(struct auth *auth, struct auth_question *question)
{
    const char *owner = tokens_find(&auth->config->tokens, question->token, question->token_length);
    answer(question, owner ? AUTH_ACCEPTED : AUTH_REFUSED, owner);
}

/* Generations. */

static void generation_free(struct generation *generation)
{
    LL_DELETE(generation->auth->generations, generation);
    loop_undefer(generation->auth->loop, &generation->end);
    generation->checker->free(generation->checker);
    free(generation);
}

static void on_end(struct loop_deferred *deferred)
{
    generation_free((struct generation *)deferred);
}

static void generation_end_if_over(struct generation *generation)
{
    if (generation != generation->auth->current && !generation->checks)
        loop_defer(generation->auth->loop, &generation->end);
}

/* The checker that the configuration asks for; 0, -ENOMEM or -EINVAL. */
static int generation_new(struct auth *auth)
{
    const struct serve_settings *settings = &auth->config->settings;
    struct generation *generation = calloc(1, sizeof *generation);
    if (!generation)
        return -ENOMEM;
    int result;
    if (settings->oauth) {
        char error[256], *reason = error;
        result = auth_oauth_new(auth->loop, settings->oauth, settings->auth_check_timeout,
                                &generation->checker, error, sizeof error);
        if (result < 0) {
            log_write(LOG_ERROR, LOG_FIELDS(LOG_TEXT("reason", reason)), "no OAuth checks");
            result = -EINVAL;
        }
    } else {
        result = auth_exec_new(auth->loop, settings->auth_exec, settings->auth_check_timeout,
                               &generation->checker);
    }
    if (result < 0) {
        free(generation);
        return result;
    }
    generation->end.run = on_end;
    generation->auth = auth;
    LL_PREPEND(auth->generations, generation);
    auth->current = generation;
    return 0;
}

/* Checks. */

static void complain(struct auth *auth, const char *fault)
{
    uint64_t now = loop_now(auth->loop);
    if (auth->complained && now - auth->complained < COMPLAIN_EVERY) {
        auth->suppressed++;
        return;
    }
    log_write(LOG_ERROR,
              LOG_FIELDS(LOG_TEXT("reason", fault), LOG_NUMBER("more_since", auth->suppressed)),
              "a token could not be checked");
    auth->complained = now;
    auth->suppressed = 0;
}

/* The end of a check that is in neither queue any more: all who asked get the verdict. */
static void check_settle(struct check *check, const struct auth_verdict *verdict)
{
    struct auth *auth = check->auth;
    if (verdict->result == AUTH_SYSTEM_ERROR)
        complain(auth, verdict->fault);
    if (check->hh.tbl)
        HASH_DEL(auth->checks, check);
    for (struct auth_question *question = check->questions; question;) {
        struct auth_question *next = (struct auth_question *)question->message.next;
        answer(question, verdict->result, verdict->owner);
        question = next;
    }
    free(check);
}

static void check_fail(struct check *check, const char *fault)
{
    check_settle(check, &(struct auth_verdict){.result = AUTH_SYSTEM_ERROR, .fault = fault});
}

static void start_waiting(struct auth *auth);

static void on_verdict(void *user, const struct auth_verdict *verdict)
{
    struct check *check = user;
    struct auth *auth = check->auth;
    struct generation *generation = check->generation;
    auth->running_count--;
    generation->checks--;
    if (generation == auth->current && verdict->result != AUTH_SYSTEM_ERROR)
        auth_cache_add(&auth->cache, check->digest, verdict->owner, loop_now(auth->loop));
    check_settle(check, verdict);
    generation_end_if_over(generation);
    start_waiting(auth);
}

static void check_start(struct check *check)
{
    struct auth *auth = check->auth;
    struct auth_question *first = check->questions;
    if (!auth->current) {
        check_fail(check, "nobody is there to check it: see the log of the last reload");
        return;
    }
    struct auth_checker *checker = auth->current->checker;
    int result = checker->start(checker, first->token, first->token_length, on_verdict, check,
                                &check->running);
    wipe(first);
    if (result < 0) {
        char fault[128];
        snprintf(fault, sizeof fault, "the check can't be started: %s", strerror(-result));
        check_fail(check, fault);
        return;
    }
    check->generation = auth->current;
    check->generation->checks++;
    auth->running_count++;
}

static void start_waiting(struct auth *auth)
{
    uint64_t longest = auth->config->settings.auth_check_timeout;
    while (auth->waiting && auth->running_count < RUNNING_MAX) {
        struct check *check = auth->waiting;
        DL_DELETE(auth->waiting, check);
        auth->waiting_count--;
        if (loop_now(auth->loop) - check->since > longest)
            check_fail(check, "it waited too long for other checks");
        else
            check_start(check);
    }
}

static void digest_token(const struct auth *auth, const struct auth_question *question,
                         unsigned char *ret_digest)
{
    unsigned char bytes[sizeof auth->salt + AUTH_TOKEN_MAX];
    memcpy(bytes, auth->salt, sizeof auth->salt);
    memcpy(bytes + sizeof auth->salt, question->token, question->token_length);
    pki_sha256(bytes, sizeof auth->salt + question->token_length, ret_digest);
    explicit_bzero(bytes, sizeof bytes);
}

static void check_new(struct auth *auth, struct auth_question *question,
                      const unsigned char *digest)
{
    struct check *check = auth->waiting_count < WAITING_MAX ? calloc(1, sizeof *check) : NULL;
    if (check) {
        memcpy(check->digest, digest, AUTH_DIGEST_SIZE);
        HASH_ADD(hh, auth->checks, digest, AUTH_DIGEST_SIZE, check);
    }
    if (!check || !check->hh.tbl) {
        free(check);
        complain(auth, "too many tokens wait for their checks, or no memory");
        answer(question, AUTH_SYSTEM_ERROR, NULL);
        return;
    }
    check->auth = auth;
    check->since = loop_now(auth->loop);
    check->questions = question;
    question->message.next = NULL;
    DL_APPEND(auth->waiting, check);
    auth->waiting_count++;
    start_waiting(auth);
}

static bool is_checkable(const struct auth_question *question)
{
    if (!question->token_length || question->token_length > AUTH_TOKEN_MAX)
        return false;
    for (size_t i = 0; i < question->token_length; i++)
        if ((unsigned char)question->token[i] < 0x20 || question->token[i] == 0x7f)
            return false;
    return true;
}

/* Shared tokens are the operator's own word, and so come before an account's; a checker comes after
 * it: it needn't see what is ours. False: somebody else is to judge. */
static bool answer_by_account(struct auth *auth, struct auth_question *question)
{
    if (!auth->judge || !is_checkable(question))
        return false;
    if (auth_knows_tokens(auth->config) &&
        tokens_find(&auth->config->tokens, question->token, question->token_length))
        return false;
    struct grant *grant = NULL;
    enum auth_result result =
        auth->judge(auth->judge_user, question->token, question->token_length, &grant);
    if (result == AUTH_NOT_MINE)
        return false;
    question->grant = grant;
    answer(question, result, grant ? grant->owner : NULL);
    return true;
}

void auth_set_judge(struct auth *auth, auth_judge *judge, void *user)
{
    auth->judge = judge;
    auth->judge_user = user;
}

static void on_asked(struct loop_message *message)
{
    struct auth_question *question = (struct auth_question *)message;
    struct auth *auth = question->auth;
    int still_posted = atomic_fetch_sub(&auth->posted, 1) - 1;
    if (auth->closed) {
        auth_question_free(question);
        if (!still_posted)
            free(auth);
        return;
    }
    if (answer_by_account(auth, question))
        return;
    if (auth_knows_tokens(auth->config)) {
        answer_by_shared_tokens(auth, question);
        return;
    }
    if (!is_checkable(question)) {
        answer(question, AUTH_REFUSED, NULL);
        return;
    }
    unsigned char digest[AUTH_DIGEST_SIZE];
    char owner[AUTH_OWNER_MAX + 1];
    digest_token(auth, question, digest);
    int known = auth_cache_find(&auth->cache, digest, loop_now(auth->loop), owner);
    if (known >= 0) {
        answer(question, (enum auth_result)known, known == AUTH_ACCEPTED ? owner : NULL);
        return;
    }
    struct check *check;
    HASH_FIND(hh, auth->checks, digest, AUTH_DIGEST_SIZE, check);
    if (!check) {
        check_new(auth, question, digest);
        return;
    }
    wipe(question); /* the first one's token is checked */
    question->message.next = check->questions->message.next;
    check->questions->message.next = &question->message;
}

void auth_ask(struct auth *auth, struct loop *auth_loop, struct auth_question *question)
{
    question->auth = auth;
    question->message.run = on_asked;
    atomic_fetch_add(&auth->posted, 1);
    loop_post(auth_loop, &question->message);
}

/* The whole. */

static int set_up(struct auth *auth, struct config *config)
{
    auth->config = config_ref(config);
    auth->current = NULL;
    auth_cache_init(&auth->cache, config->settings.auth_cache);
    if (pki_random(auth->salt, sizeof auth->salt) < 0)
        return -EIO;
    return auth_knows_tokens(config) ? 0 : generation_new(auth);
}

int auth_new(struct loop *loop, struct config *config, struct auth **ret_auth)
{
    struct auth *auth = calloc(1, sizeof *auth);
    if (!auth)
        return -ENOMEM;
    auth->loop = loop;
    int result = set_up(auth, config);
    if (result < 0) {
        auth_free(auth);
        return result;
    }
    *ret_auth = auth;
    return 0;
}

/* A waiting check under the new configuration: its key by the new salt, or at once an answer. */
static void check_again(struct check *check)
{
    struct auth *auth = check->auth;
    if (auth_knows_tokens(auth->config)) {
        const struct auth_question *first = check->questions;
        const char *owner = tokens_find(&auth->config->tokens, first->token, first->token_length);
        check_settle(check,
                     &(struct auth_verdict){owner ? AUTH_ACCEPTED : AUTH_REFUSED, owner, NULL});
        return;
    }
    HASH_DEL(auth->checks, check);
    digest_token(auth, check->questions, check->digest);
    HASH_ADD(hh, auth->checks, digest, AUTH_DIGEST_SIZE, check);
    if (!check->hh.tbl) {
        check_fail(check, "no memory");
        return;
    }
    DL_APPEND(auth->waiting, check);
    auth->waiting_count++;
}

void auth_configure(struct auth *auth, struct config *config)
{
    struct config *old = auth->config;
    struct generation *generation = auth->current;
    auth_cache_deinit(&auth->cache);
    (void)set_up(auth, config); /* its failure was logged; then each check fails as ours */
    config_unref(old);
    if (generation)
        generation_end_if_over(generation);
    struct check *waiting = auth->waiting;
    auth->waiting = NULL;
    auth->waiting_count = 0;
    while (waiting) {
        struct check *check = waiting;
        DL_DELETE(waiting, check);
        check_again(check);
    }
    start_waiting(auth);
}

static void check_drop(struct check *check)
{
    if (check->generation)
        check->generation->checker->cancel(check->running);
    HASH_DEL(check->auth->checks, check);
    for (struct auth_question *question = check->questions; question;) {
        struct auth_question *next = (struct auth_question *)question->message.next;
        auth_question_free(question);
        question = next;
    }
    free(check);
}

void auth_free(struct auth *auth)
{
    if (!auth)
        return;
    while (auth->checks)
        check_drop(auth->checks);
    while (auth->generations)
        generation_free(auth->generations);
    auth_cache_deinit(&auth->cache);
    config_unref(auth->config);
    explicit_bzero(auth->salt, sizeof auth->salt);
    auth->closed = true;
    if (!atomic_load(&auth->posted))
        free(auth);
}
