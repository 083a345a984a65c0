/* Names and sentences of the engine's error codes (STREAMPLEX.md, section "Errors"). */
#include "streamplex.h"

struct entry {
    int error;
    const char *name;
    const char *text;
};

static const struct entry entries[] = {
    {PLEX_OK, "OK", "no error"},
    {PLEX_SUBSTREAM_CLOSED, "SUBSTREAM_CLOSED", "closed"},
    {PLEX_SUBSTREAM_RESET, "SUBSTREAM_RESET", "reset by the other side"},
    {PLEX_SUBSTREAM_BAD_PORT, "SUBSTREAM_BAD_PORT", "port must be a number from 1 to 65535"},
    {PLEX_SUBSTREAM_BAD_HOST, "SUBSTREAM_BAD_HOST", "host must be a name or an address"},
    {PLEX_SUBSTREAM_BAD_TIMEOUT, "SUBSTREAM_BAD_TIMEOUT",
     "timeout must be a number of milliseconds from 0 to 2147483647"},
    {PLEX_SUBSTREAM_TWICE, "SUBSTREAM_TWICE", "already connecting"},
    {PLEX_SUBSTREAM_AFTER_END, "SUBSTREAM_AFTER_END", "data after end"},
    {PLEX_SUBSTREAM_LIMIT, "SUBSTREAM_LIMIT", "too many substreams"},
    {PLEX_SUBSTREAM_STALLED, "SUBSTREAM_STALLED", "stalled: the target takes no data"},
    {PLEX_SUBSTREAM_GOAWAY, "SUBSTREAM_GOAWAY", "the server is going away"},
    {PLEX_SUBSTREAM_BAD_KIND, "SUBSTREAM_BAD_KIND", "substreams of this name are not known"},
    {PLEX_SUBSTREAM_TUNNEL_GONE, "SUBSTREAM_TUNNEL_GONE", "the tunnel ended"},
    {PLEX_TUNNEL_FRAME_LENGTH, "TUNNEL_FRAME_LENGTH", "frame length under 3"},
    {PLEX_TUNNEL_FRAME_TYPE, "TUNNEL_FRAME_TYPE", "frame type not known"},
    {PLEX_TUNNEL_JSON, "TUNNEL_JSON", "bad JSON"},
    {PLEX_TUNNEL_JSON_SIZE, "TUNNEL_JSON_SIZE", "JSON too large"},
    {PLEX_TUNNEL_SOCK, "TUNNEL_SOCK", "sock is not a free id of the opener"},
    {PLEX_TUNNEL_CHANNEL, "TUNNEL_CHANNEL", "frame on a channel that was never opened"},
    {PLEX_TUNNEL_CREDIT, "TUNNEL_CREDIT", "credit overrun"},
    {PLEX_TUNNEL_LATE_DATA, "TUNNEL_LATE_DATA", "too much data on closed substreams"},
    {PLEX_TUNNEL_NOT_AUTHORIZED, "TUNNEL_NOT_AUTHORIZED", "Not authorized!"},
    {PLEX_TUNNEL_EXTENSION, "TUNNEL_EXTENSION", "extension frame breaks its rule"},
    {PLEX_TUNNEL_AUTH_TIMEOUT, "TUNNEL_AUTH_TIMEOUT", "no accepted token in time"},
    {PLEX_TUNNEL_FRAME_TIMEOUT, "TUNNEL_FRAME_TIMEOUT", "unfinished frame"},
    {PLEX_TUNNEL_IDLE, "TUNNEL_IDLE", "idle without substreams"},
    {PLEX_TUNNEL_PING_TIMEOUT, "TUNNEL_PING_TIMEOUT", "no answer to a ping"},
    {PLEX_OURS_MEMORY, "OURS_MEMORY", "out of memory"},
    {PLEX_OURS_ARGUMENT, "OURS_ARGUMENT", "bad argument"},
    {PLEX_OURS_STATE, "OURS_STATE", "not possible in this state"},
    {PLEX_OURS_NO_ID, "OURS_NO_ID", "every id is in use"},
};

static const struct entry *find(int error)
{
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++)
        if (entries[i].error == error)
            return &entries[i];
    return NULL;
}

const char *plex_error_name(int error)
{
    const struct entry *entry = find(error);
    return entry ? entry->name : "UNKNOWN";
}

const char *plex_error_text(int error)
{
    const struct entry *entry = find(error);
    return entry ? entry->text : "unknown error";
}
