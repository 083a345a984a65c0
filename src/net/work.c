#include "net/work.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

struct work_queue {
    struct loop *loop;
    pthread_mutex_t mutex; /* of what follows, up to the threads */
    pthread_cond_t more;
    struct work *first;
    struct work **last;
    unsigned waiting, most_waiting;
    bool is_closing;
    unsigned thread_count; /* of those that were started */
    pthread_t threads[];
};

#define CONTAINER(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

static void deliver(struct loop_message *message)
{
    struct work *work = CONTAINER(message, struct work, message);
    work->done(work);
}

/* The object is the loop's after this. */
static void hand_back(struct work *work)
{
    work->message.run = deliver;
    loop_post(work->loop, &work->message);
}

static struct work *take_first(struct work_queue *queue)
{
    struct work *work = queue->first;
    if (work) {
        queue->first = work->next;
        if (!queue->first)
            queue->last = &queue->first;
        queue->waiting--;
    }
    return work;
}

static void *run_thread(void *user)
{
    struct work_queue *queue = user;
    pthread_mutex_lock(&queue->mutex);
    while (!queue->is_closing) {
        struct work *work = take_first(queue);
        if (!work) {
            pthread_cond_wait(&queue->more, &queue->mutex);
            continue;
        }
        pthread_mutex_unlock(&queue->mutex);
        work->run(work);
        hand_back(work);
        pthread_mutex_lock(&queue->mutex);
    }
    pthread_mutex_unlock(&queue->mutex);
    return NULL;
}

/* Signals are the main thread's. */
static int start_threads(struct work_queue *queue, unsigned threads)
{
    int error = 0;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (error == 0 && queue->thread_count < threads) {
        error = pthread_create(&queue->threads[queue->thread_count], NULL, run_thread, queue);
        queue->thread_count += error == 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -error;
}

int work_queue_new(struct loop *loop, unsigned threads, unsigned most_waiting,
                   struct work_queue **ret_queue)
{
    struct work_queue *queue = calloc(1, sizeof *queue + threads * sizeof queue->threads[0]);
    if (!queue)
        return -ENOMEM;
    queue->loop = loop;
    queue->last = &queue->first;
    queue->most_waiting = most_waiting;
    pthread_mutex_init(&queue->mutex, NULL);
    pthread_cond_init(&queue->more, NULL);
    int error = start_threads(queue, threads);
    if (error < 0) {
        work_queue_free(queue);
        return error;
    }
    *ret_queue = queue;
    return 0;
}

int work_queue_add(struct work_queue *queue, struct work *work)
{
    return work_queue_add_for(queue, queue->loop, work);
}

int work_queue_add_for(struct work_queue *queue, struct loop *loop, struct work *work)
{
    work->loop = loop;
    work->next = NULL;
    pthread_mutex_lock(&queue->mutex);
    bool is_full = queue->waiting >= queue->most_waiting;
    if (!is_full) {
        *queue->last = work;
        queue->last = &work->next;
        queue->waiting++;
        pthread_cond_signal(&queue->more);
    }
    pthread_mutex_unlock(&queue->mutex);
    return is_full ? -EAGAIN : 0;
}

void work_queue_free(struct work_queue *queue)
{
    struct work *work;
    if (!queue)
        return;
    pthread_mutex_lock(&queue->mutex);
    queue->is_closing = true;
    pthread_cond_broadcast(&queue->more);
    pthread_mutex_unlock(&queue->mutex);
    for (unsigned i = 0; i < queue->thread_count; i++)
        pthread_join(queue->threads[i], NULL);
    while ((work = take_first(queue)))
        hand_back(work);
    pthread_cond_destroy(&queue->more);
    pthread_mutex_destroy(&queue->mutex);
    free(queue);
}
