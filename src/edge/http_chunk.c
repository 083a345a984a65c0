#include "edge/http_chunk.h"

#include "base/text.h"
#include "edge/http_text.h"

enum state {
    SIZE,
    NAME_BEGIN,
    NAME,
    VALUE_BEGIN,
    VALUE,
    QUOTED,
    ESCAPED,
    QUOTED_END,
    LF,
    DONE,
    BAD
};

void http_chunk_init(struct http_chunk *chunk)
{
    *chunk = (struct http_chunk){.state = SIZE};
}

/* What may follow the size, a name or a value. */
static enum state scan_next(unsigned char byte)
{
    return byte == ';' ? NAME_BEGIN : byte == '\r' ? LF : BAD;
}

static enum state scan_size(struct http_chunk *chunk, unsigned char byte)
{
    int digit = text_hex_digit((char)byte);
    if (digit < 0)
        return chunk->digits ? scan_next(byte) : BAD;
    /* Sixteen digits, leading zeros and all: readers differ on longer ones. */
    if (chunk->digits++ == 16 || chunk->size > (uint64_t)INT64_MAX >> 4)
        return BAD;
    chunk->size = chunk->size << 4 | (uint64_t)digit;
    return SIZE;
}

static enum state scan_byte(struct http_chunk *chunk, unsigned char byte)
{
    switch ((enum state)chunk->state) {
    case SIZE:
        return scan_size(chunk, byte);
    case NAME_BEGIN:
        return http_text_is_token(byte) ? NAME : BAD;
    case NAME:
        return http_text_is_token(byte) ? NAME : byte == '=' ? VALUE_BEGIN : scan_next(byte);
    case VALUE_BEGIN:
        return byte == '"' ? QUOTED : http_text_is_token(byte) ? VALUE : BAD;
    case VALUE:
        return http_text_is_token(byte) ? VALUE : scan_next(byte);
    case QUOTED:
        if (byte == '"')
            return QUOTED_END;
        return byte == '\\' ? ESCAPED : http_text_is_value(byte) ? QUOTED : BAD;
    case ESCAPED:
        return http_text_is_value(byte) ? QUOTED : BAD;
    case QUOTED_END:
        return scan_next(byte);
    case LF:
        return byte == '\n' ? DONE : BAD;
    case DONE:
    case BAD:
        break;
    }
    return BAD;
}

enum http_scanned http_chunk_feed(struct http_chunk *chunk, const char *bytes, size_t length,
                                  size_t *ret_taken)
{
    for (size_t i = 0; i < length; i++) {
        chunk->state = (uint8_t)scan_byte(chunk, (unsigned char)bytes[i]);
        if (chunk->state == BAD || ++chunk->length > HTTP_CHUNK_LINE_MAX)
            return HTTP_SCANNED_BAD;
        if (chunk->state == DONE) {
            *ret_taken = i + 1;
            return HTTP_SCANNED_WHOLE;
        }
    }
    *ret_taken = length;
    return HTTP_SCANNED_MORE;
}
