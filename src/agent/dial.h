/* `streamplex dial HOST:PORT`: a device for the shell. */
#pragma once

#include "base/settings.h"

extern const struct settings_table dial_table;

/* argv[0] is the command's name. Returns the exit status: 0, 1 (the target's fault, or our own
 * input's or output's), 2 (the tunnel's, or of how it was called). */
int dial_main(int argc, char **argv);
