/* Completion for zsh, as a file of its $fpath or sourced. */
#include <string.h>

#include "base/command_completion.h"

#define QUOTE "'\\''"

static const char beginning[] = "#compdef streamplex\n"
                                "_streamplex() {\n"
                                "    local command=\n"
                                "    local -i i\n"
                                "    local -a next\n"
                                "    for ((i = 2; i < CURRENT; i++)); do\n"
                                "        case \"$command $words[i]\" in\n";

static const char middle[] = "        (*) break ;;\n"
                             "        esac\n"
                             "        command=${command:+$command }$words[i]\n"
                             "    done\n"
                             "    words=(streamplex \"${(@)words[i,-1]}\")\n"
                             "    ((CURRENT -= i - 2))\n"
                             "    case $command in\n";

static const char ending[] = "    esac\n"
                             "}\n"
                             "if [[ $funcstack[1] == _streamplex ]]; then\n"
                             "    _streamplex \"$@\"\n"
                             "else\n"
                             "    compdef _streamplex streamplex\n"
                             "fi\n";

static void put_option(const struct setting *setting, FILE *stream)
{
    char sentence[256];
    enum completion_value value = completion_value_of(setting);
    completion_sentence(setting->help, sentence, sizeof sentence);
    fprintf(stream, " \\\n            '%s--%s%s[", setting->type == SETTING_LIST ? "*" : "",
            setting->name, value == COMPLETION_NONE ? "" : "=");
    completion_put(sentence, "[]:\\", QUOTE, stream);
    fputc(']', stream);
    if (value != COMPLETION_NONE) {
        fputc(':', stream);
        completion_put(setting->placeholder, "[]:\\", QUOTE, stream);
        fputc(':', stream);
    }
    if (value == COMPLETION_FILE)
        fputs("_files", stream);
    if (value == COMPLETION_CHOICES) {
        for (const char *const *choice = setting->choices; *choice; choice++)
            fprintf(stream, "%c%s", choice == setting->choices ? '(' : ' ', *choice);
        fputc(')', stream);
    }
    fputc('\'', stream);
    if (setting->type == SETTING_FLAG && setting->environment)
        fprintf(stream, " \\\n            '--no-%s'", setting->name);
}

static void put_command(const struct command *command, FILE *stream)
{
    fprintf(stream, "    ('%s')\n        _arguments", command->name);
    for (const struct setting *setting = command->table->settings; setting->name; setting++)
        put_option(setting, stream);
    if (completion_takes_files(command->table))
        fputs(" \\\n            '*:file:_files'", stream);
    fputs("\n        ;;\n", stream);
}

static void put_group(const struct command_list *list, const char *words, FILE *stream)
{
    char name[64], word[32], description[256];
    size_t at = 0;
    fprintf(stream, "    ('%s')\n        next=(", words);
    for (const struct command *command; (command = command_next(list, words, &at));) {
        command_word(command->name, command_word_count(words), word, sizeof word);
        snprintf(name, sizeof name, "%s%s%s", words, *words ? " " : "", word);
        command_describe(list, name, description, sizeof description);
        fprintf(stream, "\n            '%s:", word);
        completion_put(description, "\\", QUOTE, stream);
        fputc('\'', stream);
    }
    fputs(")\n        _describe command next\n        ;;\n", stream);
}

void command_complete_zsh(const struct command_list *list, FILE *stream)
{
    struct command_prefixes prefixes = {0};
    fputs(beginning, stream);
    while (command_next_prefix(list, &prefixes))
        fprintf(stream, "        ('%s%s') ;;\n", strchr(prefixes.text, ' ') ? "" : " ",
                prefixes.text);
    fputs(middle, stream);
    put_group(list, "", stream);
    prefixes = (struct command_prefixes){0};
    while (command_next_prefix(list, &prefixes)) {
        const struct command *command = command_named(list, prefixes.text);
        if (command)
            put_command(command, stream);
        else
            put_group(list, prefixes.text, stream);
    }
    fputs(ending, stream);
}
