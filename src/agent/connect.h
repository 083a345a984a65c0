/* `streamplex connect`: an agent, through which a service of this machine is reached by anyone. */
#pragma once

#include "base/settings.h"

extern const struct settings_table connect_table;

/* How it ends. */
enum connect_status {
    CONNECT_DONE = 0,        /* by a signal */
    CONNECT_WRONG_USE = 1,   /* how it was called, or this machine's fault */
    CONNECT_BAD_TOKEN = 2,   /* the server doesn't know the token, or no longer */
    CONNECT_UNREACHABLE = 3, /* only with --once */
    CONNECT_UNTRUSTED = 4,   /* the server isn't the one that --ca or --pin names */
    CONNECT_NOT_OURS = 5,    /* every service was refused: the name belongs to somebody else, ... */
    CONNECT_NO_EDGE = 6,     /* the server takes no visitors */
};

struct connect_request;
struct login_keeper;

/* Serves what was asked for, until it ends. instance: which agent it is; NULL: one made up. keeper:
 * NULL, or what gives new tokens while it runs. */
enum connect_status connect_serve(struct connect_request *request, const char *instance,
                                  struct login_keeper *keeper);

/* argv[0] is the command's name. Returns the exit status, enum connect_status. */
int connect_main(int argc, char **argv);
