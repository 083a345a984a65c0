#include "agent/login_keeper.h"

#include <jansson.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/api_client.h"
#include "agent/complain.h"
#include "agent/login_claims.h"
#include "base/reach_settings.h"
#include "net/timer.h"
#include "net/work.h"

#define WAIT_LEAST   60    /* seconds: a server that gives short logins isn't asked all the time */
#define WAIT_LONGEST 86400 /* the clock may be set in between */

struct login_keeper {
    struct login login;
    struct loop *loop;
    struct work_queue *queue;
    struct timer due;
    struct keeper_job *job; /* under way */
    void (*on_token)(void *user, const char *token);
    void *user;
};

/* One question. Its strings are its own: it runs on another thread. */
struct keeper_job {
    struct work work;            /* first */
    struct login_keeper *keeper; /* NULL: gone */
    struct login login;
    char *token; /* the answer */
    int result;  /* enum api_client_result */
    char error[256];
};

static int copy_login(const struct login *login, struct login *ret_copy)
{
    *ret_copy = (struct login){
        .token = strdup(login->token),
        .api = strdup(login->api),
        .ca = login->ca ? strdup(login->ca) : NULL,
    };
    if (ret_copy->token && ret_copy->api && (ret_copy->ca || !login->ca))
        return 0;
    login_deinit(ret_copy);
    return -1;
}

static void free_token(char *token)
{
    if (token)
        explicit_bzero(token, strlen(token));
    free(token);
}

static void free_job(struct keeper_job *job)
{
    if (!job)
        return;
    login_deinit(&job->login);
    free_token(job->token);
    free(job);
}

uint64_t login_keeper_wait(uint64_t expires, uint64_t now)
{
    uint64_t left = expires > now ? (expires - now) / 2 : 0;
    return left < WAIT_LEAST ? WAIT_LEAST : left > WAIT_LONGEST ? WAIT_LONGEST : left;
}

static void start_timer(struct login_keeper *keeper, uint64_t seconds)
{
    timer_start(&keeper->due, loop_now(keeper->loop) + seconds * 1000000);
}

/* A token that doesn't tell when it ends is asked for again in an hour. */
static void await_next(struct login_keeper *keeper)
{
    struct login_claims claims;
    uint64_t now = (uint64_t)time(NULL);
    const char *token = keeper->login.token;
    if (login_claims_read(token, strlen(token), &claims) < 0 || !claims.expires)
        claims.expires = now + 7200;
    start_timer(keeper, login_keeper_wait(claims.expires, now));
}

/* --- A question --- */

static void ask(struct work *work)
{
    struct keeper_job *job = (struct keeper_job *)work;
    const struct api_client_options options = {
        .url = job->login.api, .ca = job->login.ca, .login = job->login.token};
    struct api_client *client = NULL;
    json_t *body = json_object(), *answer = NULL;
    job->result = API_CLIENT_REFUSED;
    if (body && api_client_new(&options, &client, job->error, sizeof job->error) == 0)
        job->result = api_client_ask(client, "POST", "/login/refresh", body, &answer, job->error,
                                     sizeof job->error);
    const char *token = json_string_value(json_object_get(answer, "token"));
    if (job->result == API_CLIENT_OK && token && strlen(token) <= REACH_TOKEN_MAX)
        job->token = strdup(token);
    json_decref(answer);
    json_decref(body);
    api_client_free(client);
}

static void take(struct login_keeper *keeper, struct keeper_job *job)
{
    if (job->token) {
        char *before = keeper->login.token;
        keeper->login.token = job->token;
        job->token = NULL;
        keeper->on_token(keeper->user, keeper->login.token);
        free_token(before);
        await_next(keeper);
        return;
    }
    /* Logged out meanwhile: the tunnel's end will tell. */
    if (job->result == API_CLIENT_LOGIN) {
        complain_write("connect", "the login can't be kept up: %s", job->error);
        return;
    }
    start_timer(keeper, WAIT_LEAST);
}

static void done(struct work *work)
{
    struct keeper_job *job = (struct keeper_job *)work;
    if (job->keeper) {
        job->keeper->job = NULL;
        take(job->keeper, job);
    }
    free_job(job);
}

void login_keeper_refresh(struct login_keeper *keeper)
{
    if (keeper->job)
        return;
    timer_stop(&keeper->due);
    struct keeper_job *job = calloc(1, sizeof *job);
    if (job && copy_login(&keeper->login, &job->login) == 0) {
        job->work.run = ask;
        job->work.done = done;
        job->keeper = keeper;
        if (work_queue_add(keeper->queue, &job->work) == 0) {
            keeper->job = job;
            return;
        }
    }
    free_job(job);
    start_timer(keeper, WAIT_LEAST);
}

static void run_due(struct timer *timer)
{
    login_keeper_refresh(
        (struct login_keeper *)((char *)timer - offsetof(struct login_keeper, due)));
}

/* --- Life --- */

struct login_keeper *login_keeper_new(const struct login *login)
{
    struct login_keeper *keeper = calloc(1, sizeof *keeper);
    if (keeper && copy_login(login, &keeper->login) == 0)
        return keeper;
    free(keeper);
    return NULL;
}

int login_keeper_start(struct login_keeper *keeper, struct loop *loop,
                       void (*on_token)(void *user, const char *token), void *user)
{
    int result = work_queue_new(loop, 1, 1, &keeper->queue);
    if (result < 0)
        return result;
    keeper->loop = loop;
    keeper->on_token = on_token;
    keeper->user = user;
    timer_init(&keeper->due, loop, run_due);
    await_next(keeper);
    return 0;
}

void login_keeper_stop(struct login_keeper *keeper)
{
    if (!keeper || !keeper->queue)
        return;
    timer_stop(&keeper->due);
    if (keeper->job)
        keeper->job->keeper = NULL;
    keeper->job = NULL;
    work_queue_free(keeper->queue);
    keeper->queue = NULL;
}

const char *login_keeper_token(const struct login_keeper *keeper)
{
    return keeper->login.token;
}

void login_keeper_free(struct login_keeper *keeper)
{
    if (!keeper)
        return;
    login_deinit(&keeper->login);
    free(keeper);
}
