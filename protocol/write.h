/* Writes frames into a pull buffer. A frame that doesn't fit sets `full`; its caller takes it back
 * with plex_write_undo() and stops. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct plex_writer {
    uint8_t *start, *at, *end;
    uint8_t *frame; /* the frame in progress */
    bool full;
};

void plex_write_init(struct plex_writer *writer, void *buffer, size_t capacity);
/* begin, payload, end; end fills in the length. */
void plex_write_begin(struct plex_writer *writer, uint16_t channel, uint8_t type);
void plex_write_end(struct plex_writer *writer);
/* All three at once. */
void plex_write_frame(struct plex_writer *writer, uint16_t channel, uint8_t type,
                      const void *payload, size_t size);
/* Takes back everything since `mark`, an earlier `at`. */
void plex_write_undo(struct plex_writer *writer, uint8_t *mark);
/* A header for a payload of `size` bytes that stands behind it already. */
void plex_write_header(uint8_t *header, uint16_t channel, uint8_t type, size_t size);

void plex_write_raw(struct plex_writer *writer, const void *bytes, size_t size);
void plex_write_text(struct plex_writer *writer, const char *text);
void plex_write_number(struct plex_writer *writer, uint32_t number);
/* A JSON string with its quotes. What isn't UTF-8 is written as '?'. No more than `most` bytes are
 * written for what is between the quotes: longer strings are cut at a character's border. */
void plex_write_string(struct plex_writer *writer, const char *text, size_t length, size_t most);
