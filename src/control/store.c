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
    uint64_t last_socket, last_account, last_token, last_tunnel;

    pthread_mutex_t mutex; /* of the next four */
    pthread_cond_t has_work;
    struct store_job *first, **last;
    size_t waiting;
    bool is_ending;

    /* The loop's thread alone. */
    struct store_job *asked; /* jobs whose message hasn't run */
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
    if (job->release)
        job->release(job);
    free(job);
}

void store_release_list(struct store_job *job)
{
    free(job->value.list.items);
}

static void note_asked(struct store *store, struct store_job *job)
{
    job->earlier = NULL;
    job->later = store->asked;
    if (job->later)
        job->later->earlier = job;
    store->asked = job;
}

static void note_told(struct store *store, struct store_job *job)
{
    if (job->later)
        job->later->earlier = job->earlier;
    *(job->earlier ? &job->earlier->later : &store->asked) = job->later;
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
    note_told(store, job);
    if (!store->is_closed && job->on_done)
        job->on_done(job->user, *job->error ? job->error : NULL);
    if (store->is_closed && !store->asked)
        free_store(store);
    free_job(job);
}

static bool queue(struct store *store, struct store_job *job)
{
    pthread_mutex_lock(&store->mutex);
    bool has_place = store->waiting < STORE_QUEUE_MAX;
    if (has_place) {
        *store->last = job;
        store->last = &job->next;
        store->waiting++;
        pthread_cond_signal(&store->has_work);
    }
    pthread_mutex_unlock(&store->mutex);
    return has_place;
}

int store_ask(struct store *store, struct store_job *values)
{
    struct store_job *job = malloc(sizeof *job);
    if (!job) {
        if (values->release)
            values->release(values);
        return STORE_MEMORY;
    }
    *job = *values;
    job->message.run = tell;
    job->store = store;
    note_asked(store, job); /* before the thread may tell of it */
    if (queue(store, job))
        return STORE_OK;
    note_told(store, job);
    free_job(job);
    return STORE_BUSY;
}

void store_forget(struct store *store, const void *user)
{
    for (struct store_job *job = store->asked; job; job = job->later)
        if (job->user == user)
            job->on_done = NULL;
}

struct store_file *store_lock(struct store *store)
{
    pthread_mutex_lock(&store->file_mutex);
    return &store->file;
}

void store_unlock(struct store *store)
{
    pthread_mutex_unlock(&store->file_mutex);
}

uint64_t store_last_socket(const struct store *store)
{
    return store->last_socket;
}

uint64_t store_last_account(const struct store *store)
{
    return store->last_account;
}

uint64_t store_last_token(const struct store *store)
{
    return store->last_token;
}

uint64_t store_last_tunnel(const struct store *store)
{
    return store->last_tunnel;
}

/* --- The thread's side --- */

static void note_error(struct store *store, struct store_job *job)
{
    snprintf(job->error, sizeof job->error, "can't write to the database: %.200s",
             sqlite3_errmsg(store->file.database));
}

/* What failed alone has its own sentence. */
static void note_all(struct store *store, struct store_job *jobs, const struct store_job *end)
{
    for (struct store_job *job = jobs; job != end; job = job->next)
        if (!*job->error)
            note_error(store, job);
}

/* Of most errors (full disk, no memory) SQLite may have rolled back all by itself. */
static int run_jobs(struct store *store, struct store_job *jobs, const struct store_job *end)
{
    for (struct store_job *job = jobs; job != end; job = job->next) {
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
static void run_batch(struct store *store, struct store_job *jobs, const struct store_job *end)
{
    struct store_file *file = store_lock(store);
    int result = store_file_run(file, STORE_BEGIN);
    if (result == SQLITE_OK)
        result = run_jobs(store, jobs, end);
    if (result == SQLITE_OK)
        result = store_file_run(file, STORE_COMMIT);
    if (result != SQLITE_OK) {
        note_all(store, jobs, end);
        if (!sqlite3_get_autocommit(file->database) &&
            store_file_run(file, STORE_ROLLBACK) != SQLITE_OK)
            log_write(LOG_ERROR, LOG_FIELDS(LOG_TEXT("error", sqlite3_errmsg(file->database))),
                      "a transaction of the database can't be rolled back");
    }
    store_unlock(store);
}

/* In order; those that can share a transaction do. */
static void run_all(struct store *store, struct store_job *jobs)
{
    while (jobs) {
        struct store_job *end = jobs;
        while (end && end->run)
            end = end->next;
        if (end != jobs)
            run_batch(store, jobs, end);
        if (end) {
            end->run_alone(store_lock(store), end);
            store_unlock(store);
            end = end->next;
        }
        jobs = end;
    }
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
        run_all(store, jobs);
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

static int read_last_ids(struct store *store)
{
    sqlite3 *database = store->file.database;
    int result = store_schema_last_id(database, "sockets", &store->last_socket);
    if (result == SQLITE_OK)
        result = store_schema_last_id(database, "accounts", &store->last_account);
    if (result == SQLITE_OK)
        result = store_schema_last_id(database, "device_tokens", &store->last_token);
    if (result == SQLITE_OK)
        result = store_schema_last_id(database, "tunnels", &store->last_tunnel);
    return result;
}

static int open_store(struct store *store, const char *folder, char *error, size_t error_size)
{
    if (store_file_open(folder, &store->file, error, error_size) < 0)
        return -1;
    int result = read_last_ids(store);
    if (result != SQLITE_OK) {
        snprintf(error, error_size, "can't read the last ids: %s",
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
    if (!store->asked) /* else the last message does it */
        free_store(store);
}
