/* Frames as the vectors write them (tests/vectors/README.md). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vector_bytes {
    uint8_t *bytes;
    size_t length;
};

/* Appends; aborts the test program when memory runs out. */
void vector_bytes_add(struct vector_bytes *bytes, const void *data, size_t length);
/* Drops the first `length` bytes. */
void vector_bytes_drop(struct vector_bytes *bytes, size_t length);
void vector_bytes_free(struct vector_bytes *bytes);

/* `"text"`, `x*N`, or `-`. False: it is none of these. */
bool vector_bytes_parse(const char *text, struct vector_bytes *ret_bytes);
/* A whole FRAME line, as bytes on the wire. False: it can't be read. */
bool vector_frame_parse(const char *text, struct vector_bytes *ret_bytes);
