#include "bench/delay_line.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Without a rate: what 10 Gbit/s would have on the way, at least 1 MiB. */
#define UNLIMITED_RATE 1250000000u
#define LEAST_CAPACITY (1u << 20)
/* The finest time that is told apart: bytes put within it share a chunk. */
#define CHUNK_GRAIN 50000u

int delay_line_init(struct delay_line *line, uint64_t delay, uint64_t rate)
{
    memset(line, 0, sizeof(*line));
    line->delay = delay;
    line->rate = rate;
    double seconds = (double)(delay + 2 * (uint64_t)DELAY_LINE_QUEUE) / 1e9;
    line->capacity = (size_t)(seconds * (double)(rate ? rate : UNLIMITED_RATE)) + LEAST_CAPACITY;
    line->chunk_capacity = (size_t)((delay + 2 * (uint64_t)DELAY_LINE_QUEUE) / CHUNK_GRAIN) + 1024;
    line->bytes = malloc(line->capacity);
    line->chunks = malloc(line->chunk_capacity * sizeof(*line->chunks));
    if (!line->bytes || !line->chunks) {
        delay_line_deinit(line);
        return -1;
    }
    return 0;
}

void delay_line_deinit(struct delay_line *line)
{
    free(line->bytes);
    free(line->chunks);
    memset(line, 0, sizeof(*line));
}

size_t delay_line_room(const struct delay_line *line, uint64_t now)
{
    size_t room = line->capacity - line->used;
    if (line->ended || line->chunk_count == line->chunk_capacity) {
        return 0;
    }
    if (line->rate == 0) {
        return room;
    }
    uint64_t waiting = line->departed > now ? line->departed - now : 0;
    if (waiting >= DELAY_LINE_QUEUE) {
        return 0;
    }
    size_t queue = (size_t)((double)(DELAY_LINE_QUEUE - waiting) * (double)line->rate / 1e9) + 1;
    return queue < room ? queue : room;
}

uint64_t delay_line_room_at(const struct delay_line *line)
{
    if (line->ended || line->chunk_count == line->chunk_capacity || line->used == line->capacity) {
        return UINT64_MAX;
    }
    /* Half the queue: asked for each byte, we would be woken for each byte. */
    return line->departed > DELAY_LINE_QUEUE / 2 ? line->departed - DELAY_LINE_QUEUE / 2 : 0;
}

static void ring_write(struct delay_line *line, const void *bytes, size_t length)
{
    size_t tail = (line->head + line->used) % line->capacity;
    size_t first = line->capacity - tail < length ? line->capacity - tail : length;
    memcpy(line->bytes + tail, bytes, first);
    memcpy(line->bytes, (const uint8_t *)bytes + first, length - first);
    line->used += length;
}

void delay_line_put(struct delay_line *line, const void *bytes, size_t length, uint64_t now)
{
    assert(length <= line->capacity - line->used && !line->ended);
    if (length == 0) {
        return;
    }
    ring_write(line, bytes, length);
    uint64_t begin = line->departed > now ? line->departed : now;
    line->departed =
        begin + (line->rate ? (uint64_t)((double)length * 1e9 / (double)line->rate) : 0);
    uint64_t due = line->departed + line->delay;
    size_t last = (line->chunk_head + line->chunk_count - 1) % line->chunk_capacity;
    if (line->chunk_count > 0 && due - line->chunks[last].first_due < CHUNK_GRAIN) {
        line->chunks[last].length += length;
        line->chunks[last].due = due;
        return;
    }
    size_t slot = (line->chunk_head + line->chunk_count++) % line->chunk_capacity;
    line->chunks[slot] = (struct delay_line_chunk){.first_due = due, .due = due, .length = length};
}

void delay_line_end(struct delay_line *line, uint64_t now)
{
    if (!line->ended) {
        line->ended = true;
        line->end_due = (line->departed > now ? line->departed : now) + line->delay;
    }
}

size_t delay_line_peek(const struct delay_line *line, uint64_t now, const uint8_t **ret_bytes)
{
    size_t arrived = 0;
    for (size_t i = 0; i < line->chunk_count; i++) {
        const struct delay_line_chunk *chunk =
            &line->chunks[(line->chunk_head + i) % line->chunk_capacity];
        if (chunk->due > now) {
            break;
        }
        arrived += chunk->length;
    }
    size_t row = line->capacity - line->head;
    *ret_bytes = line->bytes + line->head;
    return arrived < row ? arrived : row;
}

void delay_line_take(struct delay_line *line, size_t length)
{
    assert(length <= line->used);
    line->head = (line->head + length) % line->capacity;
    line->used -= length;
    while (length > 0) {
        struct delay_line_chunk *chunk = &line->chunks[line->chunk_head];
        size_t piece = chunk->length < length ? chunk->length : length;
        chunk->length -= piece;
        length -= piece;
        if (chunk->length == 0) {
            line->chunk_head = (line->chunk_head + 1) % line->chunk_capacity;
            line->chunk_count--;
        }
    }
}

bool delay_line_is_over(const struct delay_line *line, uint64_t now)
{
    return line->ended && line->used == 0 && line->end_due <= now;
}

uint64_t delay_line_next(const struct delay_line *line)
{
    if (line->chunk_count > 0) {
        return line->chunks[line->chunk_head].due;
    }
    return line->ended ? line->end_due : UINT64_MAX;
}
