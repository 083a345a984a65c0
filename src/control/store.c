#include "control/store.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "control/store_internal.h"

struct store {
    struct loop *loop;
    struct store_file file; /* the thread's, but for opening, loading and closing */
    pthread_t thread;
    pthread_mutex_t file_mutex; /* held while a transaction runs: who loads sees whole ones */
    uint64_t last_socket;

    pthread_mutex_t mutex; /* of the next four */
    pthread_cond_t has_work;
    struct store_job *first, **last;
    size_t waiting;
    bool is_ending;

    /* The loop's thread alone. */
    size_t told_later; /* jobs whose message hasn't run */
    bool is_closed;
};

const char *store_error_text(int error)
{
    switch (error) {
    case STORE_OK:
        return "no error";
    case STORE_BUSY:
        return "too many changes wait to be written";
    case STORE_MEMORY:
        return "out of memory";
    default:
        return "unknown error";
    }
}

/* --- The loop's side --- */

static void free_job(struct store_job *job)
{
    socket_facts_unref(job->facts);
    free(job);
}

static void free_store(struct store *store)
{
    pthread_cond_destroy(&store->has_work);
    pthread_mutex_destroy(&store->mutex);
    pthread_mutex_destroy(&store->file_mutex);
    free(store);
}

static void tell(struct loop_message *message)
{
    struct store_job *job = (struct store_job *)(void *)message;
    struct store *store = job->store;
    store->told_later--;
    if (!store->is_closed)
        job->on_done(job->user, *job->error ? job->error : NULL);
    else if (!store->told_later)
        free_store(store);
    free_job(job);
}

static int ask(struct store *store, const struct store_job *values)
{
    struct store_job *job = malloc(sizeof *job);
    if (!job)
        return STORE_MEMORY;
    *job = *values;
    job->message.run = tell;
    job->store = store;
    pthread_mutex_lock(&store->mutex);
    bool has_place = store->waiting < STORE_QUEUE_MAX;
    if (has_place) {
        *store->last = job;
        store->last = &job->next;
        store->waiting++;
        pthread_cond_signal(&store->has_work);
    }
    pthread_mutex_unlock(&store->mutex);
    if (!has_place) {
        free(job);
        return STORE_BUSY;
    }
    store->told_later++;
    return STORE_OK;
}

int store_put_socket(struct store *store, struct socket_facts *facts, store_on_done *on_done,
                     void *user)
{
    const struct store_job job = {.run = store_sockets_put,
                                  .facts = socket_facts_ref(facts),
                                  .on_done = on_done,
                                  .user = user};
    int error = ask(store, &job);
    if (error)
        socket_facts_unref(facts);
    return error;
}

int store_remove_socket(struct store *store, uint64_t id, store_on_done *on_done, void *user)
{
    const struct store_job job = {
        .run = store_sockets_remove, .id = id, .on_done = on_done, .user = user};
    return ask(store, &job);
}

int store_load_sockets(struct store *store, int (*each)(void *user, struct socket_facts *facts),
                       void *user, char *error, size_t error_size)
{
    pthread_mutex_lock(&store->file_mutex);
    int result = store_sockets_load(&store->file, each, user, error, error_size);
    pthread_mutex_unlock(&store->file_mutex);
    return result;
}

uint64_t store_last_socket(const struct store *store)
{
    return store->last_socket;
}

/* --- The thread's side --- */

static void note_error(struct store *store, struct store_job *job)
{
    snprintf(job->error, sizeof job->error, "can't write to the database: %.200s",
             sqlite3_errmsg(store->file.database));
}

/* What failed alone has its own sentence. */
static void note_all(struct store *store, struct store_job *jobs)
{
    for (struct store_job *job = jobs; job; job = job->next)
        if (!*job->error)
            note_error(store, job);
}

/* Of most errors (full disk, no memory) SQLite may have rolled back all by itself. */
static int run_jobs(struct store *store, struct store_job *jobs)
{
    for (struct store_job *job = jobs; job; job = job->next) {
        int result = job->run(&store->file, job);
        if (result == SQLITE_OK)
            continue;
        if ((result & 0xff) != SQLITE_CONSTRAINT || sqlite3_get_autocommit(store->file.database))
            return result;
        note_error(store, job);
    }
    return SQLITE_OK;
}

/* One transaction, one sync, for all that waited meanwhile. */
static void run_batch(struct store *store, struct store_job *jobs)
{
    struct store_file *file = &store->file;
    pthread_mutex_lock(&store->file_mutex);
    int result = store_file_run(file, STORE_BEGIN);
    if (result == SQLITE_OK)
        result = run_jobs(store, jobs);
    if (result == SQLITE_OK)
        result = store_file_run(file, STORE_COMMIT);
    if (result != SQLITE_OK) {
        note_all(store, jobs);
        if (!sqlite3_get_autocommit(file->database) &&
            store_file_run(file, STORE_ROLLBACK) != SQLITE_OK)
            log_write(LOG_ERROR, LOG_FIELDS(LOG_TEXT("error", sqlite3_errmsg(file->database))),
                      "a transaction of the database can't be rolled back");
    }
    pthread_mutex_unlock(&store->file_mutex);
}

/* All that wait, in order; NULL when it is time to end. */
static struct store_job *take_jobs(struct store *store)
{
    pthread_mutex_lock(&store->mutex);
    while (!store->first && !store->is_ending)
        pthread_cond_wait(&store->has_work, &store->mutex);
    struct store_job *jobs = store->first;
    store->first = NULL;
    store->last = &store->first;
    store->waiting = 0;
    pthread_mutex_unlock(&store->mutex);
    return jobs;
}

static void *run_thread(void *user)
{
    struct store *store = user;
    for (struct store_job *jobs; (jobs = take_jobs(store));) {
        run_batch(store, jobs);
        while (jobs) {
            struct store_job *job = jobs;
            jobs = job->next; /* posted, it is the loop's */
            loop_post(store->loop, &job->message);
        }
    }
    return NULL;
}

/* --- Life --- */

/* Signals are the main thread's. */
static int start_thread(struct store *store)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&store->thread, NULL, run_thread, store);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

static int open_store(struct store *store, const char *folder, char *error, size_t error_size)
{
    if (store_file_open(folder, &store->file, error, error_size) < 0)
        return -1;
    int result = store_sockets_last(&store->file, &store->last_socket);
    if (result != SQLITE_OK) {
        snprintf(error, error_size, "can't read the sockets: %s",
                 sqlite3_errmsg(store->file.database));
        store_file_close(&store->file);
        return -1;
    }
    int fault = start_thread(store);
    if (fault) {
        snprintf(error, error_size, "can't start the store's thread: %s", strerror(fault));
        store_file_close(&store->file);
        return -1;
    }
    return 0;
}

int store_open(const char *folder, struct loop *loop, struct store **ret_store, char *error,
               size_t error_size)
{
    struct store *store = calloc(1, sizeof *store);
    if (!store) {
        snprintf(error, error_size, "out of memory");
        return -1;
    }
    store->loop = loop;
    store->last = &store->first;
    pthread_mutex_init(&store->mutex, NULL);
    pthread_mutex_init(&store->file_mutex, NULL);
    pthread_cond_init(&store->has_work, NULL);
    if (open_store(store, folder, error, error_size) < 0) {
        free_store(store);
        return -1;
    }
    *ret_store = store;
    return 0;
}

void store_close(struct store *store)
{
    if (!store)
        return;
    pthread_mutex_lock(&store->mutex);
    store->is_ending = true;
    pthread_cond_signal(&store->has_work);
    pthread_mutex_unlock(&store->mutex);
    pthread_join(store->thread, NULL);
    store_file_close(&store->file);
    store->is_closed = true;
    if (!store->told_later) /* else the last message does it */
        free_store(store);
}
