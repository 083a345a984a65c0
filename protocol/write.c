/* Writes frames and the JSON in them. */
#include "write.h"

#include "frame.h"
#include "json.h"
#include "streamplex.h"

#include <string.h>

void plex_write_init(struct plex_writer *writer, void *buffer, size_t capacity)
{
    writer->start = writer->at = writer->frame = buffer;
    writer->end = writer->start + capacity;
    writer->full = false;
}

void plex_write_raw(struct plex_writer *writer, const void *bytes, size_t size)
{
    if (writer->full || (size_t)(writer->end - writer->at) < size) {
        writer->full = true;
        return;
    }
    memcpy(writer->at, bytes, size);
    writer->at += size;
}

void plex_write_text(struct plex_writer *writer, const char *text)
{
    plex_write_raw(writer, text, strlen(text));
}

void plex_write_number(struct plex_writer *writer, uint32_t number)
{
    char digits[10];
    size_t from = sizeof digits;
    do
        digits[--from] = (char)('0' + number % 10);
    while (number /= 10);
    plex_write_raw(writer, digits + from, sizeof digits - from);
}

/* How a character of `size` bytes (0: none, a wrong byte) is written; returns how many bytes that
 * takes. */
static size_t escape(const char *at, unsigned size, char written[6])
{
    static const char digits[] = "0123456789abcdef", from[] = "\b\f\n\r\t\"\\", to[] = "bfnrt\"\\";
    uint8_t c = (uint8_t)*at;
    const char *letter = c ? strchr(from, c) : NULL;
    if (letter) {
        written[0] = '\\';
        written[1] = to[letter - from];
        return 2;
    }
    if (!size) {
        written[0] = '?';
        return 1;
    }
    if (c < 0x20) {
        memcpy(written, "\\u00", 4);
        written[4] = digits[c >> 4];
        written[5] = digits[c & 15];
        return 6;
    }
    memcpy(written, at, size);
    return size;
}

void plex_write_string(struct plex_writer *writer, const char *text, size_t length, size_t most)
{
    const char *end = text + length;
    plex_write_text(writer, "\"");
    while (text < end) {
        char written[6];
        unsigned size = plex_json_utf8(text, end);
        size_t needed = escape(text, size, written);
        if (needed > most)
            break;
        most -= needed;
        plex_write_raw(writer, written, needed);
        text += size ? size : 1;
    }
    plex_write_text(writer, "\"");
}

void plex_write_header(uint8_t *header, uint16_t channel, uint8_t type, size_t size)
{
    plex_put16(header, (uint16_t)(size + 3));
    plex_put16(header + 2, channel);
    header[4] = type;
}

void plex_write_begin(struct plex_writer *writer, uint16_t channel, uint8_t type)
{
    uint8_t header[PLEX_HEADER_SIZE];
    plex_write_header(header, channel, type, 0);
    writer->frame = writer->at;
    plex_write_raw(writer, header, sizeof header);
}

void plex_write_end(struct plex_writer *writer)
{
    if (!writer->full)
        plex_put16(writer->frame, (uint16_t)(writer->at - writer->frame - 2));
}

void plex_write_frame(struct plex_writer *writer, uint16_t channel, uint8_t type,
                      const void *payload, size_t size)
{
    plex_write_begin(writer, channel, type);
    plex_write_raw(writer, payload, size);
    plex_write_end(writer);
}

void plex_write_undo(struct plex_writer *writer, uint8_t *mark)
{
    writer->at = mark;
}
