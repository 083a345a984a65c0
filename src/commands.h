/* Every command of the program. */
#pragma once

#include "base/command.h"

extern const struct command_list commands_list;
