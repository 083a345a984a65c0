/* Picks the command, nothing else. */
#include <stdio.h>
#include <string.h>

#include "commands.h"

static bool is_help(const char *word)
{
    return !strcmp(word, "--help") || !strcmp(word, "-h") || !strcmp(word, "help");
}

/* What isn't a command: a group's help, or the program's. */
static int answer_otherwise(int argc, char **argv)
{
    int words = command_find_group(&commands_list, argc, argv);
    const char *next = words < argc ? argv[words] : "";
    if (is_help(next)) {
        command_help(&commands_list, words, argv, stdout);
        return 0;
    }
    if (!words && !strcmp(next, "--version")) {
        printf("streamplex %s\n", commands_list.version);
        return 0;
    }
    if (*next) {
        fprintf(stderr, "streamplex: there is no command `");
        for (int i = 0; i < words; i++)
            fprintf(stderr, "%s ", argv[i]);
        fprintf(stderr, "%s`\n", next);
    }
    command_help(&commands_list, words, argv, stderr);
    return words ? 1 : 2;
}

int main(int argc, char **argv)
{
    int words, given = argc > 1 ? argc - 1 : 0;
    const struct command *command = command_find(&commands_list, given, argv + 1, &words);
    if (command)
        return command->run(given - words + 1, argv + words);
    return answer_otherwise(given, argv + 1);
}
