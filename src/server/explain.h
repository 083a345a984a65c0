/* `streamplex serve --egress-explain HOST:PORT`. */
#pragma once

#include "server/config.h"

/* Resolves the host as a dial would and prints, for each address, what would happen and by which
 * rule, then what the device would get. The exit status: 0 allowed, 1 refused, 2 not resolved or
 * not HOST:PORT. */
int explain_run(const struct config *config, const char *host_port);
