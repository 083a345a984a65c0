/* Picks the command, nothing else. */
#include <stdio.h>
#include <string.h>

#include "agent/dial.h"

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv); /* argv[0] is the command's name */
    const char *summary;
} commands[] = {
    {"dial", dial_main, "goes out through a server, from standard input and output"},
};

static int usage(FILE *stream, int status)
{
    fprintf(stream,
            "Usage: streamplex COMMAND [OPTION]...\n\nCommands (COMMAND --help says more):\n");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        fprintf(stream, "  %-8s %s\n", commands[i].name, commands[i].summary);
    return status;
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return usage(stderr, 2);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return usage(stdout, 0);
    fprintf(stderr, "streamplex: no such command: %s\n", argv[1]);
    return usage(stderr, 2);
}
