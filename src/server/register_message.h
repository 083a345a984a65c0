/* An agent's `register` (STREAMPLEX.md 8.8), read strictly. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "registry/registry.h"

#define REGISTER_SERVICE_MAX 64 /* PLEX_SERVICE_MAX */

/* Texts without control characters, in UTF-8; "" is one that wasn't given. */
struct register_message {
    char service[REGISTER_SERVICE_MAX + 1];
    char name[REGISTRY_NAME_MAX + 1];
    char type[16];
    char instance[REGISTRY_INSTANCE_MAX + 1];
    char hostname[REGISTRY_HOST_MAX + 1];
    char host_header[REGISTRY_HOST_MAX + 1];
    bool https_only;
};

enum register_result {
    REGISTER_GOOD,
    REGISTER_BAD,        /* service is there, and ret_fault says what is wrong: static text */
    REGISTER_NO_SERVICE, /* it is a `register` of nothing that can be named */
    REGISTER_OTHER,      /* another message */
};

/* `json` is the text of a message's object. */
enum register_result register_message_parse(const char *json, size_t length,
                                            struct register_message *ret_message,
                                            const char **ret_fault)
    __attribute__((warn_unused_result));
