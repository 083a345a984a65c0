/* Picks the command, nothing else. */
#include <stdio.h>
#include <string.h>

#include "agent/connect.h"
#include "agent/dial.h"
#include "bench/bench.h"
#include "server/serve.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} commands[] = {
    {"serve", serve_main, "the server: tunnels of devices, and what they ask for"},
    {"connect", connect_main, "an agent: a service of this machine, reached by anyone"},
    {"dial", dial_main,
     "a device for the shell: standard input and output go out through a server"},
    {"bench", bench_main, "measures how fast a server is, and against what limit"},
};

static void print_usage(FILE *stream)
{
    fprintf(stream, "usage: streamplex COMMAND [OPTIONS]\n\n");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        fprintf(stream, "  %-8s %s\n", commands[i].name, commands[i].summary);
    fprintf(stream, "\n`streamplex COMMAND --help` lists a command's options; `streamplex "
                    "--version` tells the version.\n");
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help")) {
        print_usage(stdout);
        return 0;
    }
    if (!strcmp(name, "--version")) {
        printf("streamplex %s\n", STREAMPLEX_VERSION);
        return 0;
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (!strcmp(name, commands[i].name))
            return commands[i].run(argc - 1, argv + 1);
    if (*name)
        fprintf(stderr, "streamplex: there is no command `%s`\n", name);
    print_usage(stderr);
    return 2;
}
