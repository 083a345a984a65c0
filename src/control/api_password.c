/* The password of a protected socket: a hash takes some 60 ms, too long for the loop. */
#include <stdlib.h>
#include <string.h>

#include "control/api_internal.h"
#include "net/secret.h"

struct api_hashing {
    struct work work; /* first */
    struct api_hashing *previous, *next;
    struct api_call *call; /* NULL: it has ended */
    struct api *api;
    void (*then)(struct api_call *call);
    int error;
    char hash[SECRET_HASH_MAX];
    char password[SECRET_PASSWORD_MAX + 1];
};

int api_password_open(struct api *api)
{
    return work_queue_new(api->loop, API_HASHING_THREADS, API_HASHING_MAX, &api->hashing) ? -1 : 0;
}

/* What still runs comes back later, and finds nobody. */
static void leave(struct api_hashing *hashing)
{
    if (!hashing->call)
        return;
    hashing->call->hashing = NULL;
    hashing->call = NULL;
    if (hashing->previous)
        hashing->previous->next = hashing->next;
    else
        hashing->api->hashings = hashing->next;
    if (hashing->next)
        hashing->next->previous = hashing->previous;
}

void api_password_close(struct api *api)
{
    while (api->hashings)
        leave(api->hashings);
    work_queue_free(api->hashing);
}

void api_password_forget(struct api_call *call)
{
    if (call->hashing)
        leave(call->hashing);
}

static void run(struct work *work)
{
    struct api_hashing *hashing = (struct api_hashing *)work;
    hashing->error = secret_hash_password(hashing->password, hashing->hash);
}

static void free_hashing(struct api_hashing *hashing)
{
    explicit_bzero(hashing->password, sizeof hashing->password);
    free(hashing);
}

static void done(struct work *work)
{
    struct api_hashing *hashing = (struct api_hashing *)work;
    struct api_call *call = hashing->call;
    leave(hashing);
    if (call) {
        char **kept = &call->values->access->password_hash;
        free(*kept);
        *kept = hashing->error ? NULL : strdup(hashing->hash);
        if (*kept)
            hashing->then(call);
        else
            api_answer_memory(call);
    }
    free_hashing(hashing);
}

void api_password_hash(struct api_call *call, void (*then)(struct api_call *call))
{
    struct api *api = call->api;
    if (!call->values->password) {
        then(call);
        return;
    }
    struct api_hashing *hashing = calloc(1, sizeof *hashing);
    if (!hashing) {
        api_answer_memory(call);
        return;
    }
    hashing->work = (struct work){.run = run, .done = done};
    hashing->api = api;
    hashing->then = then;
    strcpy(hashing->password, call->values->password); /* it was measured */
    if (work_queue_add(api->hashing, &hashing->work) < 0) {
        free_hashing(hashing);
        api_answer_account_error(call, ACCOUNTS_BUSY, 0);
        return;
    }
    hashing->call = call;
    call->hashing = hashing;
    hashing->next = api->hashings;
    if (api->hashings)
        api->hashings->previous = hashing;
    api->hashings = hashing;
}
