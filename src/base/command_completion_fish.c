/* Completion for fish. */
#include <string.h>

#include "base/command_completion.h"

#define QUOTE "\\'"

static const char beginning[] = "# fish completion for streamplex\n"
                                "function __streamplex_command\n"
                                "    set -l command\n"
                                "    set -l line (commandline -opc)\n"
                                "    for word in $line[2..-1]\n"
                                "        switch \"$command $word\"\n"
                                "            case";

static const char middle[] = "\n"
                             "                set command (string trim -- \"$command $word\")\n"
                             "            case '*'\n"
                             "                break\n"
                             "        end\n"
                             "    end\n"
                             "    test \"$command\" = \"$argv[1]\"\n"
                             "end\n"
                             "complete -c streamplex -f\n";

static void put_condition(const char *command, FILE *stream)
{
    fprintf(stream, "complete -c streamplex -n \"__streamplex_command '%s'\"", command);
}

static void put_words(const struct command_list *list, const char *words, FILE *stream)
{
    char name[64], word[32], description[256];
    size_t at = 0;
    for (const struct command *command; (command = command_next(list, words, &at));) {
        command_word(command->name, command_word_count(words), word, sizeof word);
        snprintf(name, sizeof name, "%s%s%s", words, *words ? " " : "", word);
        command_describe(list, name, description, sizeof description);
        put_condition(words, stream);
        fprintf(stream, " -a %s -d '", word);
        completion_put(description, "\\", QUOTE, stream);
        fputs("'\n", stream);
    }
}

static void put_option(const struct command *command, const struct setting *setting, FILE *stream)
{
    char sentence[256];
    completion_sentence(setting->help, sentence, sizeof sentence);
    put_condition(command->name, stream);
    fprintf(stream, " -l %s", setting->name);
    switch (completion_value_of(setting)) {
    case COMPLETION_NONE:
        break;
    case COMPLETION_ANY:
        fputs(" -x", stream);
        break;
    case COMPLETION_FILE:
        fputs(" -r -F", stream);
        break;
    case COMPLETION_CHOICES:
        for (const char *const *choice = setting->choices; *choice; choice++)
            fprintf(stream, "%s%s", choice == setting->choices ? " -x -a '" : " ", *choice);
        fputc('\'', stream);
        break;
    }
    fputs(" -d '", stream);
    completion_put(sentence, "\\", QUOTE, stream);
    fputs("'\n", stream);
    if (setting->type == SETTING_FLAG && setting->environment) {
        put_condition(command->name, stream);
        fprintf(stream, " -l no-%s\n", setting->name);
    }
}

void command_complete_fish(const struct command_list *list, FILE *stream)
{
    struct command_prefixes prefixes = {0};
    fputs(beginning, stream);
    while (command_next_prefix(list, &prefixes))
        fprintf(stream, " '%s%s'", strchr(prefixes.text, ' ') ? "" : " ", prefixes.text);
    fputs(middle, stream);
    put_words(list, "", stream);
    prefixes = (struct command_prefixes){0};
    while (command_next_prefix(list, &prefixes))
        put_words(list, prefixes.text, stream);
    for (size_t i = 0; i < list->count; i++) {
        const struct command *command = &list->items[i];
        if (!command->heading)
            continue;
        for (const struct setting *setting = command->table->settings; setting->name; setting++)
            put_option(command, setting, stream);
        if (completion_takes_files(command->table)) {
            put_condition(command->name, stream);
            fputs(" -F\n", stream);
        }
    }
}
