/* One direction of a long, narrow road: bytes come out `delay` after they went in, and no faster
 * than `rate`.
 *
 * Like a link with a queue before it: a byte waits for those before it to be sent at the rate,
 * travels, and arrives. When the queue holds more than DELAY_LINE_QUEUE of sending time, the line
 * takes nothing more (the sender's TCP then slows down; nothing is lost). Time is an argument,
 * nanoseconds. Without sockets; delay_relay.c has those. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DELAY_LINE_QUEUE                                                                           \
    5000000u /* ns: a router's buffer, short beside the round trips of interest */

struct delay_line_chunk {
    uint64_t first_due, due; /* of its first and last byte; all arrive with the last */
    size_t length;
};

struct delay_line {
    uint64_t delay;    /* ns */
    uint64_t rate;     /* bytes a second; 0: unlimited */
    uint64_t departed; /* when the last byte taken in has left the queue */
    uint8_t *bytes;    /* a ring */
    size_t capacity, head, used;
    struct delay_line_chunk *chunks; /* a ring */
    size_t chunk_capacity, chunk_head, chunk_count;
    bool ended;
    uint64_t end_due;
};

/* 0 or -1 (memory). */
int delay_line_init(struct delay_line *line, uint64_t delay, uint64_t rate)
    __attribute__((warn_unused_result));
void delay_line_deinit(struct delay_line *line);
/* How many bytes it takes now. When 0, delay_line_room_at() says when to ask again. */
size_t delay_line_room(const struct delay_line *line, uint64_t now);
/* When the queue will be short enough again, as far as time decides; UINT64_MAX when the ring is
 * full (then when something was taken out). */
uint64_t delay_line_room_at(const struct delay_line *line);
/* At most delay_line_room() bytes go in. */
void delay_line_put(struct delay_line *line, const void *bytes, size_t length, uint64_t now);
/* The sender sends no more; delay_line_is_over() is true when that has travelled too. */
void delay_line_end(struct delay_line *line, uint64_t now);
/* What has arrived: a piece in one row, perhaps not all; 0: nothing yet. */
size_t delay_line_peek(const struct delay_line *line, uint64_t now, const uint8_t **ret_bytes);
void delay_line_take(struct delay_line *line, size_t length);
bool delay_line_is_over(const struct delay_line *line, uint64_t now);
/* When the next byte, or the end, arrives; UINT64_MAX: nothing on the way. */
uint64_t delay_line_next(const struct delay_line *line);
