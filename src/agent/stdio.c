#include "agent/stdio.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct chunk {
    struct chunk *next;
    size_t length;
    unsigned char bytes[];
};

struct stdio {
    struct loop_message message; /* in the loop's queue while `posted` */
    struct loop *loop;
    const struct stdio_callbacks *callbacks;
    void *user;
    int input, output;
    int wake[2]; /* a pipe: a byte in it ends the reader's poll */
    pthread_t reader, writer;
    bool reader_runs, writer_runs;

    pthread_mutex_t lock; /* for everything below */
    pthread_cond_t reader_work, writer_work;
    bool posted, stopping;

    unsigned char ring[STDIO_INPUT_MAX];
    size_t ring_start, ring_length;
    bool input_ended;
    bool input_news; /* since on_input was called last */

    struct chunk *first, **last;
    size_t written; /* not yet told by on_written */
    bool output_ending, output_done, output_done_told;
    int output_error;
};

/* Tells the loop that there is news; with the lock held. One message is under way at most. */
static void notify(struct stdio *stdio)
{
    if (stdio->posted || stdio->stopping)
        return;
    stdio->posted = true;
    loop_post(stdio->loop, &stdio->message);
}

static void on_message(struct loop_message *message)
{
    struct stdio *stdio = (struct stdio *)message;

    pthread_mutex_lock(&stdio->lock);
    bool stopping = stdio->stopping;
    size_t written = stdio->written;
    bool news = stdio->input_news;
    bool done = stdio->output_done && !stdio->output_done_told;
    int error = stdio->output_error;
    stdio->posted = false;
    stdio->written = 0;
    stdio->input_news = false;
    stdio->output_done_told = stdio->output_done;
    pthread_mutex_unlock(&stdio->lock);
    if (stopping)
        return; /* loop_free() runs what is left over */

    /* The object outlives the loop (stdio_free), so callbacks may do to it what they like. */
    if (written)
        stdio->callbacks->on_written(stdio->user, written);
    if (news)
        stdio->callbacks->on_input(stdio->user);
    if (done)
        stdio->callbacks->on_output_done(stdio->user, error);
}

/* Waits for the input to be readable (or at its end): 1, or 0 when the reader is to stop. */
static int wait_for_input(struct stdio *stdio)
{
    struct pollfd fds[2] = {{.fd = stdio->wake[0], .events = POLLIN},
                            {.fd = stdio->input, .events = POLLIN}};
    for (;;) {
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return 0;
        if (fds[0].revents)
            return 0;
        if (fds[1].revents)
            return 1;
    }
}

/* One read into the ring's free part, without the lock: the loop only ever takes from the other
 * part. */
static ssize_t read_some(struct stdio *stdio, size_t at, size_t room)
{
    for (;;) {
        if (!wait_for_input(stdio))
            return -1;
        ssize_t got = read(stdio->input, stdio->ring + at, room);
        /* EAGAIN: somebody who shares the descriptor made it non-blocking, or was faster. */
        if (got >= 0 || (errno != EINTR && errno != EAGAIN))
            return got > 0 ? got : 0;
    }
}

static void *run_reader(void *argument)
{
    struct stdio *stdio = argument;

    pthread_mutex_lock(&stdio->lock);
    while (!stdio->input_ended) {
        while (stdio->ring_length == STDIO_INPUT_MAX && !stdio->stopping)
            pthread_cond_wait(&stdio->reader_work, &stdio->lock);
        if (stdio->stopping)
            break;
        size_t at = (stdio->ring_start + stdio->ring_length) % STDIO_INPUT_MAX;
        size_t room = at < stdio->ring_start ? stdio->ring_start - at : STDIO_INPUT_MAX - at;
        pthread_mutex_unlock(&stdio->lock);
        ssize_t got = read_some(stdio, at, room);
        pthread_mutex_lock(&stdio->lock);
        if (got < 0)
            break;
        stdio->ring_length += (size_t)got;
        stdio->input_ended = got == 0;
        stdio->input_news = true;
        notify(stdio);
    }
    pthread_mutex_unlock(&stdio->lock);
    return NULL;
}

size_t stdio_read(struct stdio *stdio, void *buffer, size_t capacity)
{
    size_t taken = 0;

    pthread_mutex_lock(&stdio->lock);
    while (taken < capacity && stdio->ring_length) {
        size_t piece = STDIO_INPUT_MAX - stdio->ring_start;
        if (piece > stdio->ring_length)
            piece = stdio->ring_length;
        if (piece > capacity - taken)
            piece = capacity - taken;
        memcpy((unsigned char *)buffer + taken, stdio->ring + stdio->ring_start, piece);
        stdio->ring_start = (stdio->ring_start + piece) % STDIO_INPUT_MAX;
        stdio->ring_length -= piece;
        taken += piece;
    }
    if (taken)
        pthread_cond_signal(&stdio->reader_work);
    pthread_mutex_unlock(&stdio->lock);
    return taken;
}

bool stdio_input_ended(struct stdio *stdio)
{
    pthread_mutex_lock(&stdio->lock);
    bool ended = stdio->input_ended && stdio->ring_length == 0;
    pthread_mutex_unlock(&stdio->lock);
    return ended;
}

/* Writes all of it: 0 or a negative errno. */
static int write_all(int fd, const unsigned char *bytes, size_t length)
{
    while (length) {
        ssize_t put = write(fd, bytes, length);
        if (put >= 0) {
            bytes += put;
            length -= (size_t)put;
        } else if (errno == EAGAIN) {
            struct pollfd wait = {.fd = fd, .events = POLLOUT};
            (void)poll(&wait, 1, -1);
        } else if (errno != EINTR) {
            return -errno;
        }
    }
    return 0;
}

/* Whoever reads our output sees its end. The number stays taken, so that no later open() becomes
 * "standard output". */
static void end_descriptor(int fd)
{
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

    (void)shutdown(fd, SHUT_WR); /* ENOTSOCK for what isn't a socket */
    if (null >= 0) {
        (void)dup2(null, fd);
        close(null);
    }
}

static void drop_chunks(struct stdio *stdio)
{
    while (stdio->first) {
        struct chunk *chunk = stdio->first;
        stdio->first = chunk->next;
        free(chunk);
    }
    stdio->last = &stdio->first;
}

static void *run_writer(void *argument)
{
    struct stdio *stdio = argument;
    int error = 0;

    pthread_mutex_lock(&stdio->lock);
    for (;;) {
        while (!stdio->first && !stdio->output_ending && !stdio->stopping)
            pthread_cond_wait(&stdio->writer_work, &stdio->lock);
        struct chunk *chunk = stdio->first;
        if (stdio->stopping || !chunk)
            break;
        stdio->first = chunk->next;
        if (!stdio->first)
            stdio->last = &stdio->first;
        pthread_mutex_unlock(&stdio->lock);
        error = write_all(stdio->output, chunk->bytes, chunk->length);
        pthread_mutex_lock(&stdio->lock);
        if (!error)
            stdio->written += chunk->length;
        free(chunk);
        if (error)
            break;
        notify(stdio);
    }
    if (stdio->output_ending && !stdio->stopping && !error)
        end_descriptor(stdio->output);
    drop_chunks(stdio);
    stdio->output_error = error;
    stdio->output_done = true;
    notify(stdio);
    pthread_mutex_unlock(&stdio->lock);
    return NULL;
}

int stdio_write(struct stdio *stdio, const void *bytes, size_t length)
{
    struct chunk *chunk = malloc(sizeof *chunk + length);
    if (!chunk)
        return -ENOMEM;
    chunk->next = NULL;
    chunk->length = length;
    memcpy(chunk->bytes, bytes, length);

    pthread_mutex_lock(&stdio->lock);
    if (stdio->output_done || stdio->output_ending) {
        free(chunk);
    } else {
        *stdio->last = chunk;
        stdio->last = &chunk->next;
        pthread_cond_signal(&stdio->writer_work);
    }
    pthread_mutex_unlock(&stdio->lock);
    return 0;
}

void stdio_end_output(struct stdio *stdio)
{
    pthread_mutex_lock(&stdio->lock);
    stdio->output_ending = true;
    pthread_cond_signal(&stdio->writer_work);
    pthread_mutex_unlock(&stdio->lock);
}

int stdio_start_input(struct stdio *stdio)
{
    if (stdio->reader_runs)
        return 0;
    int error = pthread_create(&stdio->reader, NULL, run_reader, stdio);
    stdio->reader_runs = error == 0;
    return -error;
}

int stdio_new(struct loop *loop, int input, int output, const struct stdio_callbacks *callbacks,
              void *user, struct stdio **ret_stdio)
{
    struct stdio *stdio = calloc(1, sizeof *stdio);
    if (!stdio)
        return -ENOMEM;
    if (pipe2(stdio->wake, O_CLOEXEC) < 0) {
        int error = -errno;
        free(stdio);
        return error;
    }
    stdio->message.run = on_message;
    stdio->loop = loop;
    stdio->callbacks = callbacks;
    stdio->user = user;
    stdio->input = input;
    stdio->output = output;
    stdio->last = &stdio->first;
    pthread_mutex_init(&stdio->lock, NULL);
    pthread_cond_init(&stdio->reader_work, NULL);
    pthread_cond_init(&stdio->writer_work, NULL);

    int error = pthread_create(&stdio->writer, NULL, run_writer, stdio);
    stdio->writer_runs = error == 0;
    if (error) {
        stdio_free(stdio);
        return -error;
    }
    *ret_stdio = stdio;
    return 0;
}

void stdio_stop(struct stdio *stdio)
{
    pthread_mutex_lock(&stdio->lock);
    stdio->stopping = true;
    pthread_cond_signal(&stdio->reader_work);
    pthread_cond_signal(&stdio->writer_work);
    pthread_mutex_unlock(&stdio->lock);
    /* A pipe that nobody else writes to takes one byte. */
    ssize_t put = write(stdio->wake[1], "", 1);
    (void)put;
    if (stdio->reader_runs)
        pthread_join(stdio->reader, NULL);
    if (stdio->writer_runs)
        pthread_join(stdio->writer, NULL);
    stdio->reader_runs = stdio->writer_runs = false;
}

void stdio_free(struct stdio *stdio)
{
    if (!stdio)
        return;
    close(stdio->wake[0]);
    close(stdio->wake[1]);
    pthread_cond_destroy(&stdio->reader_work);
    pthread_cond_destroy(&stdio->writer_work);
    pthread_mutex_destroy(&stdio->lock);
    free(stdio);
}

void stdio_hold_descriptors(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}
