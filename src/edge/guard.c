#include "edge/guard.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "net/login_delay.h"
#include "net/secret.h"

/* A check takes 32 MiB and some 60 ms: two at a time leave the loops their processors. */
#define THREADS 2
/* The last of them waits for 2 s, which is as long as a visitor will. */
#define WAITING_MAX 64

struct guard {
    struct rate_table *rates;
    struct work_queue *queue;
    pthread_mutex_t mutex; /* of `delay` */
    struct login_delay *delay;
};

int guard_new(struct guard **ret_guard)
{
    struct guard *guard = calloc(1, sizeof *guard);
    if (!guard)
        return -ENOMEM;
    pthread_mutex_init(&guard->mutex, NULL);
    int error = rate_table_new(&guard->rates);
    if (error == 0)
        error = login_delay_new(&guard->delay);
    if (error == 0)
        error = work_queue_new(NULL, THREADS, WAITING_MAX, &guard->queue);
    if (error < 0) {
        guard_free(guard);
        return error;
    }
    *ret_guard = guard;
    return 0;
}

uint64_t guard_ask(struct guard *guard, const union address *visitor, uint64_t now)
{
    pthread_mutex_lock(&guard->mutex);
    uint64_t wait = login_delay_ask(guard->delay, visitor, NULL, now);
    pthread_mutex_unlock(&guard->mutex);
    return wait;
}

/* Asked once more here: the guesses that were sent together would all have been let through. A
 * wrong name costs as much time as a wrong password, and so can't be told from it. */
static void run_check(struct work *work)
{
    struct guard_check *check = (struct guard_check *)work;
    struct guard *guard = check->guard;
    check->wait = guard_ask(guard, &check->visitor, check->now);
    if (check->wait) {
        check->verdict = GUARD_LATER;
        return;
    }
    bool is_right = secret_verify_password(check->password, check->hash);
    check->verdict = is_right && check->is_known ? GUARD_RIGHT : GUARD_WRONG;
    if (check->verdict == GUARD_RIGHT)
        return;
    pthread_mutex_lock(&guard->mutex);
    login_delay_wrong(guard->delay, &check->visitor, NULL, check->now);
    pthread_mutex_unlock(&guard->mutex);
}

int guard_add(struct guard *guard, struct loop *loop, struct guard_check *check)
{
    if (!guard->queue)
        return -EAGAIN;
    check->guard = guard;
    check->verdict = GUARD_UNKNOWN;
    check->work.run = run_check;
    return work_queue_add_for(guard->queue, loop, &check->work);
}

struct rate_table *guard_rates(struct guard *guard)
{
    return guard->rates;
}

void guard_stop(struct guard *guard)
{
    if (!guard)
        return;
    work_queue_free(guard->queue);
    guard->queue = NULL;
}

void guard_free(struct guard *guard)
{
    if (!guard)
        return;
    guard_stop(guard);
    login_delay_free(guard->delay);
    rate_table_free(guard->rates);
    pthread_mutex_destroy(&guard->mutex);
    free(guard);
}
