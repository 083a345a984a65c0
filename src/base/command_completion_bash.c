/* Completion for bash, on its own: nothing of the bash-completion package is needed. */
#include <string.h>

#include "base/command_completion.h"

/* Takes the command's words off the line; "--name=value" is three words to bash, and an underscore
 * in a name is as a dash. */
static const char beginning[] =
    "# bash completion for streamplex\n"
    "_streamplex()\n"
    "{\n"
    "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}\n"
    "    local command= words= files= i\n"
    "    COMPREPLY=()\n"
    "    if [[ $word == = ]]; then\n"
    "        word=\n"
    "    elif [[ $before == = && $COMP_CWORD -gt 1 ]]; then\n"
    "        before=${COMP_WORDS[COMP_CWORD - 2]}\n"
    "    fi\n"
    "    [[ $before == --* ]] && before=${before//_/-}\n"
    "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "        case \"$command ${COMP_WORDS[i]}\" in\n";

static const char ending[] =
    "    esac\n"
    "    if [[ $files && $word != -* ]]; then\n"
    "        compopt -o filenames 2>/dev/null\n"
    "        mapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n"
    "    else\n"
    "        mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
    "    fi\n"
    "}\n"
    "complete -F _streamplex streamplex\n";

static void put_prefixes(const struct command_list *list, FILE *stream)
{
    struct command_prefixes prefixes = {0};
    while (command_next_prefix(list, &prefixes))
        fprintf(stream, "        '%s%s') ;;\n", strchr(prefixes.text, ' ') ? "" : " ",
                prefixes.text);
    fputs("        *) break ;;\n"
          "        esac\n"
          "        command=${command:+$command }${COMP_WORDS[i]}\n"
          "    done\n",
          stream);
}

/* What an option's value may be, before what may stand there otherwise. */
static void put_value(const char *command, const struct setting *setting, FILE *stream)
{
    enum completion_value value = completion_value_of(setting);
    if (value == COMPLETION_NONE)
        return;
    fprintf(stream, "    '%s --%s')", command, setting->name);
    if (value == COMPLETION_FILE)
        fputs(" files=yes ;;\n", stream);
    else if (value == COMPLETION_CHOICES) {
        fputs(" words='", stream);
        for (const char *const *choice = setting->choices; *choice; choice++)
            fprintf(stream, "%s%s", choice == setting->choices ? "" : " ", *choice);
        fputs("' ;;\n", stream);
    } else
        fputs(" ;;\n", stream);
}

static void put_words(const struct command_list *list, const char *command, FILE *stream)
{
    size_t at = 0;
    char word[32];
    fprintf(stream, "        '%s') words='", command);
    for (const struct command *next; (next = command_next(list, command, &at));) {
        command_word(next->name, command_word_count(command), word, sizeof word);
        fprintf(stream, "%s ", word);
    }
    fprintf(stream, "--help%s' ;;\n", *command ? "" : " --version");
}

static void put_options(const struct command *command, FILE *stream)
{
    fprintf(stream, "        '%s') words='", command->name);
    for (const struct setting *setting = command->table->settings; setting->name; setting++) {
        fprintf(stream, "%s--%s", setting == command->table->settings ? "" : " ", setting->name);
        if (setting->type == SETTING_FLAG && setting->environment)
            fprintf(stream, " --no-%s", setting->name);
    }
    fprintf(stream, "'%s ;;\n", completion_takes_files(command->table) ? " files=yes" : "");
}

void command_complete_bash(const struct command_list *list, FILE *stream)
{
    struct command_prefixes prefixes = {0};
    fputs(beginning, stream);
    put_prefixes(list, stream);
    fputs("    case \"$command $before\" in\n", stream);
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].heading)
            for (const struct setting *setting = list->items[i].table->settings; setting->name;
                 setting++)
                put_value(list->items[i].name, setting, stream);
    fputs("    *)\n        case $command in\n", stream);
    put_words(list, "", stream);
    while (command_next_prefix(list, &prefixes)) {
        const struct command *command = command_named(list, prefixes.text);
        if (command)
            put_options(command, stream);
        else
            put_words(list, prefixes.text, stream);
    }
    fputs("        esac\n        ;;\n", stream);
    fputs(ending, stream);
}
