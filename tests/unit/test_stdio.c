#include <fcntl.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/stdio.h"
#include "net/loop.h"

/* What a test looks at; each callback stops the loop, and the test says what it waits for. */
struct seen {
    struct loop *loop;
    struct stdio *stdio;
    unsigned char *input; /* what stdio_read() gave */
    size_t input_length, input_limit;
    bool input_ended;
    size_t written;
    bool done;
    int error;
};

static void on_input(void *user)
{
    struct seen *seen = user;
    while (seen->input_length < seen->input_limit) {
        size_t got = stdio_read(seen->stdio, seen->input + seen->input_length,
                                seen->input_limit - seen->input_length);
        if (!got)
            break;
        seen->input_length += got;
    }
    seen->input_ended = stdio_input_ended(seen->stdio);
    loop_stop(seen->loop);
}

static void on_written(void *user, size_t length)
{
    struct seen *seen = user;
    seen->written += length;
    loop_stop(seen->loop);
}

static void on_output_done(void *user, int error)
{
    struct seen *seen = user;
    assert_false(seen->done);
    seen->done = true;
    seen->error = error;
    loop_stop(seen->loop);
}

static const struct stdio_callbacks callbacks = {on_input, on_written, on_output_done};

static void open_stdio(struct seen *seen, int input, int output)
{
    memset(seen, 0, sizeof *seen);
    assert_int_equal(loop_new(&seen->loop), 0);
    assert_int_equal(stdio_new(seen->loop, input, output, &callbacks, seen, &seen->stdio), 0);
}

static void close_stdio(struct seen *seen)
{
    stdio_stop(seen->stdio);
    loop_free(seen->loop);
    stdio_free(seen->stdio);
    free(seen->input);
}

static void limit_input(struct seen *seen, size_t limit)
{
    seen->input = realloc(seen->input, limit);
    assert_non_null(seen->input);
    seen->input_limit = limit;
}

static unsigned char *pattern(size_t length)
{
    unsigned char *bytes = malloc(length);
    assert_non_null(bytes);
    for (size_t i = 0; i < length; i++)
        bytes[i] = (unsigned char)(i * 7 + i / 251);
    return bytes;
}

/* An open file of its own, already unlinked. */
static int temporary_file(void)
{
    char name[] = "/tmp/streamplex-test-XXXXXX";
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    unlink(name);
    return fd;
}

static void test_reads_a_file_larger_than_its_ring(void **state)
{
    size_t length = 3 * STDIO_INPUT_MAX + 17;
    unsigned char *bytes = pattern(length);
    int file = temporary_file();
    struct seen seen;

    assert_int_equal(write(file, bytes, length), length);
    lseek(file, 0, SEEK_SET);
    open_stdio(&seen, file, open("/dev/null", O_WRONLY));
    limit_input(&seen, length + 1);
    assert_int_equal(stdio_start_input(seen.stdio), 0);
    while (!seen.input_ended)
        loop_run(seen.loop);
    assert_int_equal(seen.input_length, length);
    assert_memory_equal(seen.input, bytes, length);
    close_stdio(&seen);
    close(file);
    free(bytes);
}

static void test_reads_ahead_no_further_than_its_bound(void **state)
{
    int file = temporary_file();
    struct seen seen;

    assert_int_equal(ftruncate(file, 4 * STDIO_INPUT_MAX), 0);
    open_stdio(&seen, file, open("/dev/null", O_WRONLY));
    assert_int_equal(stdio_start_input(seen.stdio), 0);
    /* Nobody takes anything; the file's position tells how much was read. */
    while (lseek(file, 0, SEEK_CUR) < STDIO_INPUT_MAX)
        loop_run(seen.loop);
    stdio_stop(seen.stdio);
    assert_int_equal(lseek(file, 0, SEEK_CUR), STDIO_INPUT_MAX);
    close_stdio(&seen);
    close(file);
}

static void test_an_input_that_is_closed_has_ended(void **state)
{
    int fd = open("/dev/null", O_WRONLY); /* can't be read: EBADF */
    struct seen seen;

    open_stdio(&seen, fd, open("/dev/null", O_WRONLY));
    assert_int_equal(stdio_start_input(seen.stdio), 0);
    loop_run(seen.loop);
    assert_true(seen.input_ended);
    close_stdio(&seen);
    close(fd);
}

static void test_writes_all_then_ends(void **state)
{
    size_t length = 300000;
    unsigned char *bytes = pattern(length), *got = malloc(length);
    int file = temporary_file();
    int kept = dup(file);
    struct seen seen;

    open_stdio(&seen, open("/dev/null", O_RDONLY), file);
    for (size_t at = 0; at < length; at += 10000)
        assert_int_equal(stdio_write(seen.stdio, bytes + at, 10000), 0);
    stdio_end_output(seen.stdio);
    stdio_end_output(seen.stdio);
    assert_int_equal(stdio_write(seen.stdio, "late", 4), 0);
    while (!seen.done)
        loop_run(seen.loop);
    assert_int_equal(seen.error, 0);
    assert_int_equal(seen.written, length);
    assert_int_equal(pread(kept, got, length, 0), length);
    assert_memory_equal(got, bytes, length);
    assert_int_equal(lseek(kept, 0, SEEK_END), length);
    close_stdio(&seen);
    close(file);
    close(kept);
    free(bytes);
    free(got);
}

static void test_a_reader_sees_the_end(void **state)
{
    int pair[2];
    char byte;
    struct seen seen;

    assert_int_equal(pipe(pair), 0);
    open_stdio(&seen, open("/dev/null", O_RDONLY), pair[1]);
    stdio_end_output(seen.stdio);
    while (!seen.done)
        loop_run(seen.loop);
    assert_int_equal(read(pair[0], &byte, 1), 0); /* though the number is still open */
    assert_int_equal(fcntl(pair[1], F_GETFD) < 0, false);
    close_stdio(&seen);
    close(pair[0]);
    close(pair[1]);
}

static void test_a_slow_reader_is_waited_for(void **state)
{
    int pair[2];
    size_t length = 400000, read_so_far = 0;
    unsigned char *bytes = pattern(length), *got = malloc(length);
    struct seen seen;

    assert_int_equal(pipe(pair), 0);
    /* Somebody else made it non-blocking: nothing may be lost, and nothing spins. */
    assert_int_equal(fcntl(pair[1], F_SETFL, O_NONBLOCK), 0);
    open_stdio(&seen, open("/dev/null", O_RDONLY), pair[1]);
    assert_int_equal(stdio_write(seen.stdio, bytes, length), 0);
    stdio_end_output(seen.stdio);
    while (read_so_far < length) {
        ssize_t n = read(pair[0], got + read_so_far, 5000);
        assert_true(n > 0);
        read_so_far += (size_t)n;
    }
    while (!seen.done)
        loop_run(seen.loop);
    assert_int_equal(seen.written, length);
    assert_memory_equal(got, bytes, length);
    close_stdio(&seen);
    close(pair[0]);
    close(pair[1]);
    free(bytes);
    free(got);
}

static void test_a_reader_that_left_is_an_error(void **state)
{
    int pair[2];
    struct seen seen;

    assert_int_equal(pipe(pair), 0);
    close(pair[0]);
    open_stdio(&seen, open("/dev/null", O_RDONLY), pair[1]);
    assert_int_equal(stdio_write(seen.stdio, "x", 1), 0);
    while (!seen.done)
        loop_run(seen.loop);
    assert_int_equal(seen.error, -EPIPE);
    assert_int_equal(stdio_write(seen.stdio, "y", 1), 0);
    close_stdio(&seen);
    close(pair[1]);
}

static void test_stops_while_waiting_for_input(void **state)
{
    int pair[2];
    struct seen seen;

    assert_int_equal(pipe(pair), 0);
    open_stdio(&seen, pair[0], open("/dev/null", O_WRONLY));
    assert_int_equal(stdio_start_input(seen.stdio), 0);
    close_stdio(&seen); /* would hang */
    close(pair[0]);
    close(pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_a_file_larger_than_its_ring),
        cmocka_unit_test(test_reads_ahead_no_further_than_its_bound),
        cmocka_unit_test(test_an_input_that_is_closed_has_ended),
        cmocka_unit_test(test_writes_all_then_ends),
        cmocka_unit_test(test_a_reader_sees_the_end),
        cmocka_unit_test(test_a_slow_reader_is_waited_for),
        cmocka_unit_test(test_a_reader_that_left_is_an_error),
        cmocka_unit_test(test_stops_while_waiting_for_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
