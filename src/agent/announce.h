/* What an agent and the server tell each other about services on a tunnel with `inbound`
 * (STREAMPLEX.md 8.8): the objects of `message` on channel 0, as JSON text. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "agent/service.h"

/* What every server reads and on_message_pull has room for at least. */
#define ANNOUNCE_MAX 960

/* {"register":{...}}. Its length, or 0: longer than capacity, or without memory. */
size_t announce_register(const struct service *service, const char *instance, char *buffer,
                         size_t capacity);

enum announce_kind {
    ANNOUNCE_OTHER,      /* nothing that we know: to be ignored */
    ANNOUNCE_REGISTERED, /* the service is online */
    ANNOUNCE_REFUSED,
};

/* What the server answered. Texts that are too long are cut; control characters are replaced, for
 * they go to terminals. */
struct announce_answer {
    enum announce_kind kind;
    char service[SERVICE_NAME_MAX + 1];
    char type[16];
    char hostname[256];
    uint16_t port;               /* 0: none was told */
    char url[320];               /* "https://a.example" or "a.example:41000" */
    char code[64], message[512]; /* ANNOUNCE_REFUSED */
};

/* json: a text that the engine handed out (on_message) or plex_json_check() accepted. What doesn't
 * say what its kind needs is ANNOUNCE_OTHER. */
void announce_read(const char *json, struct announce_answer *ret_answer);
