#include "base/fifo.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct fifo_chunk {
    struct fifo_chunk *next;
    size_t begin, end, capacity;
    unsigned char bytes[];
};

static struct fifo_chunk *add_chunk(struct fifo *fifo, size_t length)
{
    /* A small spill gets a small chunk: many slow substreams with a few bytes each shouldn't cost
     * 16 KiB each. */
    size_t capacity = length < FIFO_CHUNK / 4 && !fifo->first ? FIFO_CHUNK / 4 : FIFO_CHUNK;
    struct fifo_chunk *chunk = malloc(sizeof *chunk + capacity);
    if (!chunk)
        return NULL;
    *chunk = (struct fifo_chunk){.capacity = capacity};
    if (fifo->last)
        fifo->last->next = chunk;
    else
        fifo->first = chunk;
    fifo->last = chunk;
    return chunk;
}

static void drop_first(struct fifo *fifo)
{
    struct fifo_chunk *chunk = fifo->first;
    fifo->first = chunk->next;
    if (!fifo->first)
        fifo->last = NULL;
    free(chunk);
}

/* Takes back what a push that ran out of memory had added. */
static void cut(struct fifo *fifo, struct fifo_chunk *last, size_t last_end)
{
    struct fifo_chunk *extra = last ? last->next : fifo->first;
    while (extra) {
        struct fifo_chunk *next = extra->next;
        free(extra);
        extra = next;
    }
    if (last) {
        last->next = NULL;
        last->end = last_end;
    } else {
        fifo->first = NULL;
    }
    fifo->last = last;
}

int fifo_push(struct fifo *fifo, const void *bytes, size_t length)
{
    struct fifo_chunk *old_last = fifo->last;
    size_t old_end = old_last ? old_last->end : 0;
    const unsigned char *from = bytes;
    for (size_t left = length; left > 0;) {
        struct fifo_chunk *chunk = fifo->last;
        if ((!chunk || chunk->end == chunk->capacity) && !(chunk = add_chunk(fifo, left))) {
            cut(fifo, old_last, old_end);
            return -1;
        }
        size_t room = chunk->capacity - chunk->end;
        size_t piece = left < room ? left : room;
        memcpy(chunk->bytes + chunk->end, from, piece);
        chunk->end += piece;
        from += piece;
        left -= piece;
    }
    fifo->size += length;
    return 0;
}

const void *fifo_peek(const struct fifo *fifo, size_t *ret_length)
{
    const struct fifo_chunk *chunk = fifo->first;
    *ret_length = chunk ? chunk->end - chunk->begin : 0;
    return chunk ? chunk->bytes + chunk->begin : NULL;
}

void fifo_drop(struct fifo *fifo, size_t length)
{
    struct fifo_chunk *chunk = fifo->first;
    assert(length <= fifo->size && (!length || length <= chunk->end - chunk->begin));
    if (!length)
        return;
    chunk->begin += length;
    fifo->size -= length;
    if (chunk->begin == chunk->end)
        drop_first(fifo);
}

void fifo_deinit(struct fifo *fifo)
{
    while (fifo->first)
        drop_first(fifo);
    fifo->size = 0;
}
