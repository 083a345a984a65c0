/* The frame's header and types (§2). */
#pragma once

#include "streamplex.h"

enum plex_frame_type {
    PLEX_FRAME_DATA,
    PLEX_FRAME_JSON,
    PLEX_FRAME_CREDIT,
    PLEX_FRAME_PING,
    PLEX_FRAME_PONG,
    PLEX_FRAME_RESET,
    PLEX_FRAME_GOAWAY,
    PLEX_FRAME_SKIPPED = 128, /* the first that version 1 skips without knowing it */
};

static inline uint16_t plex_get16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static inline uint32_t plex_get32(const uint8_t *bytes)
{
    return (uint32_t)plex_get16(bytes) << 16 | plex_get16(bytes + 2);
}

static inline void plex_put16(uint8_t *bytes, uint16_t number)
{
    bytes[0] = (uint8_t)(number >> 8);
    bytes[1] = (uint8_t)number;
}

static inline void plex_put32(uint8_t *bytes, uint32_t number)
{
    plex_put16(bytes, (uint16_t)(number >> 16));
    plex_put16(bytes + 2, (uint16_t)number);
}

/* What is wrong with a header by itself: PLEX_TUNNEL_FRAME_TYPE or _EXTENSION, or 0. features and
 * v1 are the tunnel's. Types from PLEX_FRAME_SKIPPED are good on any channel with version 1. */
int plex_frame_check(uint8_t type, uint16_t channel, uint16_t payload, uint32_t features, bool v1);
