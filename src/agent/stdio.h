/* Standard input and output (or any two descriptors) as the local end of a substream.
 *
 * Two threads read and write, blocking, and tell the loop by message. Not readiness on the loop: a
 * file can't be polled, and O_NONBLOCK would be set on an open file that other processes share (the
 * terminal of the shell, the pipe that the next command of a script writes to).
 *
 * Bounds: input is read ahead by at most STDIO_INPUT_MAX bytes; output holds what stdio_write() was
 * given and on_written hasn't named yet, so the caller's window is its bound.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "net/loop.h"

struct stdio;

#define STDIO_INPUT_MAX                                                                            \
    262144 /* enough for a thread switch to cost little beside the bytes moved */

struct stdio_callbacks {
    /* stdio_read() has something where it had nothing, or the input has ended. */
    void (*on_input)(void *user);
    /* So many bytes more have left by the output. */
    void (*on_written)(void *user, size_t length);
    /* Comes once: all was written after stdio_end_output() (error 0), or writing failed (a negative
     * errno) and nothing more will be written. */
    void (*on_output_done)(void *user, int error);
};

/* The descriptors are borrowed until stdio_free(). Nothing is read before stdio_start_input(). 0 or
 * a negative errno. */
int stdio_new(struct loop *loop, int input, int output, const struct stdio_callbacks *callbacks,
              void *user, struct stdio **ret_stdio) __attribute__((warn_unused_result));
/* Stops both threads, whatever they wait for but a write(2) under way; no callback follows. Call it
 * when the loop doesn't run any more, and before loop_free(). */
void stdio_stop(struct stdio *stdio);
/* After stdio_stop() and loop_free(): a message of the threads may have waited in the loop. NULL is
 * fine. */
void stdio_free(struct stdio *stdio);

/* Starts to read. 0 or a negative errno. */
int stdio_start_input(struct stdio *stdio) __attribute__((warn_unused_result));
/* Takes input that was read; 0: nothing now. An input that can't be read is one that has ended. */
size_t stdio_read(struct stdio *stdio, void *buffer, size_t capacity);
/* The input has ended and all of it was taken. */
bool stdio_input_ended(struct stdio *stdio);

/* Copies and queues; a no-op after an error or stdio_end_output(). 0 or -ENOMEM. */
int stdio_write(struct stdio *stdio, const void *bytes, size_t length)
    __attribute__((warn_unused_result));
/* Nothing more comes: once all is written, whoever reads our output sees its end (the descriptor is
 * then /dev/null, and a socket is shut down for writing). Idempotent. */
void stdio_end_output(struct stdio *stdio);

/* A caller may have closed some of 0, 1 and 2: they must not become sockets of ours. To be called
 * before anything is opened. */
void stdio_hold_descriptors(void);
