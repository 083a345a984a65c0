/* How users get to a socket. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "registry/registry.h"
#include "server/config.h"

/* "https://a.example", with a port where it isn't 443; "http://..." where there is no https at all;
 * "a.example:41000" for a socket with a port of its own. Returns the port that visitors use. size:
 * at least REGISTRY_HOST_MAX + 32. */
uint16_t socket_url_format(const struct socket_facts *facts, const struct config *config, char *url,
                           size_t size);
