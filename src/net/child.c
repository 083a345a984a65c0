#include "net/child.h"

#include <errno.h>
#include <limits.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "net/timer.h"

/* Freed when its handles have closed, in whatever order. */
struct child {
    struct loop *loop;
    child_on_exit *on_exit; /* NULL: killed by its owner */
    void *user;
    uv_process_t process;
    uv_pipe_t input, output;
    uv_write_t write;
    struct timer timer; /* its time; once it has exited, the drain's */
    int open_handles;
    int status;
    bool is_running; /* or has been */
    bool has_exited;
    bool has_ended; /* its standard output */
    bool is_over;
    size_t length;
    char bytes[CHILD_OUTPUT_MAX + 1]; /* one more, to see that it is too much */
    size_t input_length;
    char input_bytes[]; /* often a secret */
};

#define CONTAINER(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

static void handle_closed(uv_handle_t *handle)
{
    struct child *child = handle->data;
    if (--child->open_handles == 0) {
        explicit_bzero(child->input_bytes, child->input_length);
        free(child);
    }
}

static void close_handle(void *handle)
{
    if (!uv_is_closing(handle)) {
        uv_close(handle, handle_closed);
    }
}

/* Ends everything; the memory follows its handles. */
static void child_stop(struct child *child)
{
    child->is_over = true;
    timer_stop(&child->timer);
    if (!child->has_exited) {
        /* The whole group: a script's own children would go on, and hold our pipe. Its id is the
         * child's, which can't be anybody else's before we have waited for it. */
        (void)kill(-child->process.pid, SIGKILL);
    }
    close_handle(&child->input);
    close_handle(&child->output);
    /* A process handle that is closed doesn't wait for its child any more, which would stay a
     * zombie: it closes when that has exited. */
    if (child->has_exited && child->is_running) {
        close_handle(&child->process);
    }
}

static void child_finish(struct child *child, int status)
{
    child_on_exit *on_exit = child->on_exit;
    child->on_exit = NULL;
    child_stop(child);
    if (on_exit) {
        /* The memory lives at least until the loop runs close callbacks. */
        on_exit(child->user, status, child->bytes, status < 0 ? 0 : child->length);
    }
}

static void child_settle(struct child *child)
{
    if (child->has_exited && child->has_ended) {
        child_finish(child, child->status);
    }
}

static void time_over(struct timer *timer)
{
    struct child *child = CONTAINER(timer, struct child, timer);
    child_finish(child, child->has_exited ? child->status : -1);
}

static void process_exited(uv_process_t *process, int64_t exit_status, int term_signal)
{
    struct child *child = process->data;
    child->has_exited = true;
    child->status = term_signal ? -1 : (int)exit_status;
    if (child->is_over) {
        close_handle(&child->process);
        return;
    }
    timer_start(&child->timer, loop_now(child->loop) + CHILD_DRAIN);
    child_settle(child);
}

static void output_wanted(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct child *child = handle->data;
    *buffer =
        uv_buf_init(child->bytes + child->length, (unsigned)(sizeof(child->bytes) - child->length));
}

static void output_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    struct child *child = stream->data;
    if (count < 0) { /* the end, or as good as that */
        child->has_ended = true;
        close_handle(&child->output);
        child_settle(child);
        return;
    }
    child->length += (size_t)count;
    if (child->length > CHILD_OUTPUT_MAX) {
        child_finish(child, -1);
    }
}

/* Written, or not wanted (EPIPE): either way it gets its end. */
static void input_written(uv_write_t *write, int status)
{
    struct child *child = write->data;
    close_handle(&child->input);
}

/* Ours are opened with O_CLOEXEC; those that the process was started with, or that a library
 * opened, needn't be. */
static void protect_descriptors(void)
{
    (void)close_range(STDERR_FILENO + 1, UINT_MAX, CLOSE_RANGE_CLOEXEC);
}

static void close_pipe(const uv_file ends[2])
{
    close(ends[0]);
    close(ends[1]);
}

static int child_spawn(struct child *child, char *const *argv, const uv_file input[2],
                       const uv_file output[2])
{
    uv_stdio_container_t stdio[] = {
        {.flags = UV_INHERIT_FD, .data.fd = input[0]},
        {.flags = UV_INHERIT_FD, .data.fd = output[1]},
        {.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO},
    };
    uv_process_options_t options = {
        .exit_cb = process_exited,
        .file = argv[0],
        .args = (char **)argv,
        .flags = UV_PROCESS_DETACHED,
        .stdio_count = 3,
        .stdio = stdio,
    };
    protect_descriptors();
    return uv_spawn(loop_uv(child->loop), &child->process, &options);
}

/* Pipes of our own: those that libuv makes are sockets, and a script can't open them as /dev/stdin.
 */
static int child_spawn_with_pipes(struct child *child, char *const *argv)
{
    uv_file input[2], output[2];
    int status = uv_pipe(input, 0, UV_NONBLOCK_PIPE);
    if (status < 0) {
        return status;
    }
    status = uv_pipe(output, UV_NONBLOCK_PIPE, 0);
    if (status < 0) {
        close_pipe(input);
        return status;
    }
    child->open_handles++; /* the process is one from now on, started or not */
    status = child_spawn(child, argv, input, output);
    if (status < 0) {
        close_handle(&child->process);
        close_pipe(input);
        close_pipe(output);
        return status;
    }
    close(input[0]);
    close(output[1]);
    /* Can't fail: they are pipes, and ours. */
    (void)uv_pipe_open(&child->input, input[1]);
    (void)uv_pipe_open(&child->output, output[0]);
    return 0;
}

static struct child *child_new(struct loop *loop, const void *input, size_t input_length)
{
    struct child *child = malloc(sizeof(*child) + input_length);
    if (!child) {
        return NULL;
    }
    memset(child, 0, offsetof(struct child, bytes));
    child->loop = loop;
    child->input_length = input_length;
    if (input_length) {
        memcpy(child->input_bytes, input, input_length);
    }
    timer_init(&child->timer, loop, time_over);
    /* Can't fail: nothing is opened yet. */
    (void)uv_pipe_init(loop_uv(loop), &child->input, 0);
    (void)uv_pipe_init(loop_uv(loop), &child->output, 0);
    child->process.data = child->input.data = child->output.data = child->write.data = child;
    child->open_handles = 2;
    return child;
}

int child_start(struct loop *loop, char *const *argv, const void *input, size_t input_length,
                uint64_t timeout, child_on_exit *on_exit, void *user, struct child **ret_child)
{
    struct child *child = child_new(loop, input, input_length);
    if (!child) {
        return -ENOMEM;
    }
    int status = child_spawn_with_pipes(child, argv);
    if (status < 0) {
        child->has_exited = true;
        child_stop(child);
        return status;
    }
    child->is_running = true;
    child->on_exit = on_exit;
    child->user = user;

    uv_buf_t bytes = uv_buf_init(child->input_bytes, (unsigned)input_length);
    if (!input_length ||
        uv_write(&child->write, (uv_stream_t *)&child->input, &bytes, 1, input_written) < 0) {
        close_handle(&child->input);
    }
    /* Can't fail on a pipe that has just been made. */
    (void)uv_read_start((uv_stream_t *)&child->output, output_wanted, output_read);
    if (timeout) {
        timer_start(&child->timer, loop_now(loop) + timeout);
    }
    *ret_child = child;
    return 0;
}

void child_kill(struct child *child)
{
    if (child) {
        child->on_exit = NULL;
        child_stop(child);
    }
}
