/* Names and sentences of the engine's error codes (§11).
 *
 * They lie in one text, as name and sentence of code after code, and are counted off: a table of
 * pointers would take a firmware as much again. */
#include "streamplex.h"

#include <string.h>

/* What a device never tells its peer is left out of a board's build: most names, and sentences
 * about what only servers find. */
#define BOTH(name, text) name "\0" text "\0"
#ifdef PLEX_BOARD
#define TEXT(name, text) "\0" text "\0"
#define NONE(name, text) "\0\0"
#else
#define TEXT BOTH
#define NONE BOTH
#endif

static const char texts[] =
    /* clang-format off */
    NONE("OK", "no error")
    NONE("SUBSTREAM_CLOSED", "closed")
    NONE("SUBSTREAM_RESET", "reset by the other side")
    NONE("SUBSTREAM_BAD_PORT", "port must be a number from 1 to 65535")
    NONE("SUBSTREAM_BAD_HOST", "host must be a name or an address")
    NONE("SUBSTREAM_BAD_TIMEOUT", "timeout must be a number of milliseconds from 0 to 2147483647")
    NONE("SUBSTREAM_TWICE", "already connecting")
    BOTH("SUBSTREAM_AFTER_END", "data after end")
    BOTH("SUBSTREAM_LIMIT", "too many substreams")
    NONE("SUBSTREAM_STALLED", "stalled: the target takes no data")
    BOTH("SUBSTREAM_GOAWAY", "the server is going away")
    BOTH("SUBSTREAM_BAD_KIND", "substreams of this name are not known")
    NONE("SUBSTREAM_TUNNEL_GONE", "the tunnel ended")
    TEXT("TUNNEL_FRAME_LENGTH", "frame length under 3")
    TEXT("TUNNEL_FRAME_TYPE", "frame type not known")
    TEXT("TUNNEL_JSON", "bad JSON")
    TEXT("TUNNEL_JSON_SIZE", "JSON too large")
    TEXT("TUNNEL_SOCK", "sock is not a free id of the opener")
    TEXT("TUNNEL_CHANNEL", "frame on a channel that was never opened")
    TEXT("TUNNEL_CREDIT", "credit overrun")
    NONE("TUNNEL_LATE_DATA", "too much data on closed substreams")
    TEXT("TUNNEL_NOT_AUTHORIZED", "Not authorized!")
    TEXT("TUNNEL_EXTENSION", "extension frame breaks its rule")
    TEXT("TUNNEL_AUTH_TIMEOUT", "no accepted token in time")
    TEXT("TUNNEL_FRAME_TIMEOUT", "unfinished frame")
    TEXT("TUNNEL_IDLE", "idle without substreams")
    TEXT("TUNNEL_PING_TIMEOUT", "no answer to a ping")
    TEXT("OURS_MEMORY", "out of memory")
    NONE("OURS_ARGUMENT", "bad argument")
    NONE("OURS_STATE", "not possible in this state")
    NONE("OURS_NO_ID", "every id is in use")
    /* clang-format on */
    TEXT("UNKNOWN", "unknown error");

/* Which of them is the first of each range of a hundred; the last is the unknown one. */
static const uint8_t first[] = {0, 1, 13, 27, 31};

static const char *text_of(int error, unsigned part)
{
    unsigned number = 0u - (unsigned)error, range = number / 100, index = first[4];
    if (range < sizeof first - 1 && (number % 100 || !number)) {
        index = first[range] + number % 100 - (range > 0);
        if (index >= first[range + 1])
            index = first[4];
    }
    const char *text = texts;
    for (index = 2 * index + part; index; index--)
        text += strlen(text) + 1;
    return text;
}

const char *plex_error_name(int error)
{
    return text_of(error, 0);
}

const char *plex_error_text(int error)
{
    return text_of(error, 1);
}
