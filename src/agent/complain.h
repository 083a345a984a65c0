/* What a command tells its user beside its output: sentences on standard error. */
#pragma once

/* "streamplex COMMAND: ...", with control characters replaced: what a server, a target or a service
 * said may hold anything, and must not move the cursor. */
void complain_write(const char *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
