/* Which headers are good (§2, §8.7). */
#include "frame.h"

struct shape {
    uint8_t feature;
    uint8_t payload;
    bool tunnel; /* on channel 0, else on a substream's */
};

static const struct shape shapes[] = {
    [PLEX_FRAME_CREDIT] = {PLEX_FLOW, 4, false},  [PLEX_FRAME_PING] = {PLEX_PING, 8, true},
    [PLEX_FRAME_PONG] = {PLEX_PING, 8, true},     [PLEX_FRAME_RESET] = {PLEX_RESET, 2, false},
    [PLEX_FRAME_GOAWAY] = {PLEX_GOAWAY, 2, true},
};

int plex_frame_check(uint8_t type, uint16_t channel, uint16_t payload, uint32_t features, bool v1)
{
    if (type <= PLEX_FRAME_JSON || (v1 && type >= PLEX_FRAME_SKIPPED))
        return 0;
    if (type > PLEX_FRAME_GOAWAY || !(features & shapes[type].feature))
        return PLEX_TUNNEL_FRAME_TYPE;
    if (payload != shapes[type].payload || (channel == 0) != shapes[type].tunnel)
        return PLEX_TUNNEL_EXTENSION;
    return 0;
}
