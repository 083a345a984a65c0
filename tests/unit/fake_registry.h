/* The few functions of the registry that what is tested calls, for tests that link no registry.
 * Where the real ones are linked, they count. */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "registry/registry.h"

#define WEAK __attribute__((weak))

WEAK struct presence *presence_ref(struct presence *presence)
{
    atomic_fetch_add(&presence->references, 1);
    return presence;
}

WEAK void presence_unref(struct presence *presence)
{
    if (presence && atomic_fetch_sub(&presence->references, 1) == 1)
        free(presence);
}

static const char *const fake_types[] = {"http", "https", "tls", "tcp", "passthrough"};

WEAK int socket_type_parse(const char *text)
{
    for (int i = 0; i < 5; i++)
        if (!strcmp(text, fake_types[i]))
            return i;
    return -1;
}

WEAK const char *socket_type_name(enum socket_type type)
{
    return fake_types[type];
}

WEAK const char *registry_error_name(int error)
{
    return error == REGISTRY_TAKEN ? "NAME_TAKEN" : "OTHER";
}

WEAK const char *registry_error_text(int error)
{
    return "no";
}
