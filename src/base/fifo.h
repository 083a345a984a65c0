/* A byte queue in chunks: memory comes with the bytes and goes with them, so an empty one costs its
 * struct alone. */
#pragma once

#include <stddef.h>

/* One TLS record's worth: most spills are one piece of that size or less. */
#define FIFO_CHUNK 16384

struct fifo_chunk;

struct fifo {
    struct fifo_chunk *first, *last;
    size_t size; /* bytes in it */
};

/* A zeroed struct is an empty queue. Copies the bytes. 0 or -1 without memory (nothing was added).
 */
int fifo_push(struct fifo *fifo, const void *bytes, size_t length)
    __attribute__((warn_unused_result));
/* The oldest bytes, in one piece; *ret_length is 0 when the queue is empty. Valid until the next
 * call. */
const void *fifo_peek(const struct fifo *fifo, size_t *ret_length);
void fifo_drop(struct fifo *fifo, size_t length); /* at most what fifo_peek() told */
void fifo_deinit(struct fifo *fifo);
