/* What the tests of src/registry share. */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "registry/registry.h"

static inline struct socket_facts *test_facts(uint64_t id, enum socket_type type,
                                              const char *hostname, uint16_t port)
{
    char name[32];
    snprintf(name, sizeof name, "name %u", (unsigned)id);
    const struct socket_facts values = {.id = id,
                                        .type = type,
                                        .owner = "ann",
                                        .name = name,
                                        .hostname = (char *)hostname,
                                        .port = port};
    struct socket_facts *facts = socket_facts_new(&values);
    assert_non_null(facts);
    return facts;
}

static inline struct tunnel_ref test_ref(uint32_t slot)
{
    return (struct tunnel_ref){.worker = 1, .slot = slot, .generation = 7};
}

static inline struct presence *test_presence(uint64_t socket, uint32_t slot)
{
    struct presence *presence = presence_new(test_ref(slot), socket, "web", "");
    assert_non_null(presence);
    return presence;
}
