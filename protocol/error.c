/* Names and sentences of the engine's error codes (§11).
 *
 * They lie in one text, as name and sentence of code after code, and are counted off: a table of
 * pointers would take a firmware as much again. */
#include "streamplex.h"

#include <string.h>

static const char texts[] =
    /* clang-format off: a line for each code */
    "OK\0"
    "no error\0"
    "SUBSTREAM_CLOSED\0"
    "closed\0"
    "SUBSTREAM_RESET\0"
    "reset by the other side\0"
    "SUBSTREAM_BAD_PORT\0"
    "port must be a number from 1 to 65535\0"
    "SUBSTREAM_BAD_HOST\0"
    "host must be a name or an address\0"
    "SUBSTREAM_BAD_TIMEOUT\0"
    "timeout must be a number of milliseconds from 0 to 2147483647\0"
    "SUBSTREAM_TWICE\0"
    "already connecting\0"
    "SUBSTREAM_AFTER_END\0"
    "data after end\0"
    "SUBSTREAM_LIMIT\0"
    "too many substreams\0"
    "SUBSTREAM_STALLED\0"
    "stalled: the target takes no data\0"
    "SUBSTREAM_GOAWAY\0"
    "the server is going away\0"
    "SUBSTREAM_BAD_KIND\0"
    "substreams of this name are not known\0"
    "SUBSTREAM_TUNNEL_GONE\0"
    "the tunnel ended\0"
    "TUNNEL_FRAME_LENGTH\0"
    "frame length under 3\0"
    "TUNNEL_FRAME_TYPE\0"
    "frame type not known\0"
    "TUNNEL_JSON\0"
    "bad JSON\0"
    "TUNNEL_JSON_SIZE\0"
    "JSON too large\0"
    "TUNNEL_SOCK\0"
    "sock is not a free id of the opener\0"
    "TUNNEL_CHANNEL\0"
    "frame on a channel that was never opened\0"
    "TUNNEL_CREDIT\0"
    "credit overrun\0"
    "TUNNEL_LATE_DATA\0"
    "too much data on closed substreams\0"
    "TUNNEL_NOT_AUTHORIZED\0"
    "Not authorized!\0"
    "TUNNEL_EXTENSION\0"
    "extension frame breaks its rule\0"
    "TUNNEL_AUTH_TIMEOUT\0"
    "no accepted token in time\0"
    "TUNNEL_FRAME_TIMEOUT\0"
    "unfinished frame\0"
    "TUNNEL_IDLE\0"
    "idle without substreams\0"
    "TUNNEL_PING_TIMEOUT\0"
    "no answer to a ping\0"
    "OURS_MEMORY\0"
    "out of memory\0"
    "OURS_ARGUMENT\0"
    "bad argument\0"
    "OURS_STATE\0"
    "not possible in this state\0"
    "OURS_NO_ID\0"
    "every id is in use\0"
    /* clang-format on */
    "UNKNOWN\0"
    "unknown error";

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
