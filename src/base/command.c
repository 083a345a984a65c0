#include "base/command.h"

#include <string.h>

int command_word_count(const char *name)
{
    int count = *name != '\0';
    for (; *name; name++)
        count += *name == ' ';
    return count;
}

void command_word(const char *name, int index, char *buffer, size_t size)
{
    while (index-- > 0) {
        name += strcspn(name, " ");
        name += *name == ' ';
    }
    snprintf(buffer, size, "%.*s", (int)strcspn(name, " "), name);
}

bool command_begins(const char *name, const char *words)
{
    size_t length = strlen(words);
    return !length || (strncmp(name, words, length) == 0 && (name[length] == ' ' || !name[length]));
}

/* How many of the words at the beginning are the name's. */
static int count_same(const char *name, int argc, char **argv)
{
    int same = 0;
    for (char word[32]; same < argc; same++) {
        command_word(name, same, word, sizeof word);
        if (!*word || strcmp(word, argv[same]) != 0)
            break;
    }
    return same;
}

const struct command *command_find(const struct command_list *list, int argc, char **argv,
                                   int *ret_words)
{
    const struct command *found = NULL;
    *ret_words = 0;
    for (size_t i = 0; i < list->count; i++) {
        int words = command_word_count(list->items[i].name);
        if (words > *ret_words && count_same(list->items[i].name, argc, argv) == words) {
            found = &list->items[i];
            *ret_words = words;
        }
    }
    return found;
}

const struct command *command_named(const struct command_list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i].name, name) == 0)
            return &list->items[i];
    return NULL;
}

int command_find_group(const struct command_list *list, int argc, char **argv)
{
    int most = 0;
    for (size_t i = 0; i < list->count; i++) {
        int same = count_same(list->items[i].name, argc, argv);
        if (same > most && list->items[i].heading)
            most = same;
    }
    return most;
}

void command_help(const struct command_list *list, int word_count, char **words, FILE *stream)
{
    const char *heading = NULL;
    int widest = 0;
    for (size_t i = 0; i < list->count; i++) {
        int width = (int)strlen(list->items[i].name);
        if (list->items[i].heading && width > widest &&
            count_same(list->items[i].name, word_count, words) == word_count)
            widest = width;
    }
    fprintf(stream, "Usage: streamplex ");
    for (int i = 0; i < word_count; i++)
        fprintf(stream, "%s ", words[i]);
    fprintf(stream, "COMMAND [OPTION]...\n");
    for (size_t i = 0; i < list->count; i++) {
        const struct command *command = &list->items[i];
        if (!command->heading || count_same(command->name, word_count, words) != word_count)
            continue;
        if (!heading || strcmp(heading, command->heading) != 0)
            fprintf(stream, "\n%s:\n", command->heading);
        heading = command->heading;
        fprintf(stream, "  %-*s  %s\n", widest, command->name, command->summary);
    }
    fprintf(stream, "\n`streamplex COMMAND --help` lists a command's options; `streamplex "
                    "--version` tells the version.\n");
}

/* --- Walks --- */

/* "admin user" of "admin user ls" and 2. */
static void take_words(const char *name, int words, char *buffer, size_t size)
{
    size_t length = 0;
    while (words-- > 0) {
        length += name[length] == ' ';
        length += strcspn(name + length, " ");
    }
    snprintf(buffer, size, "%.*s", (int)length, name);
}

/* Is command `index` the first that begins so? */
static bool is_first(const struct command_list *list, size_t index, const char *words)
{
    for (size_t i = 0; i < index; i++)
        if (list->items[i].heading && command_begins(list->items[i].name, words))
            return false;
    return true;
}

const struct command *command_next(const struct command_list *list, const char *words, size_t *at)
{
    int count = command_word_count(words);
    for (char next[64]; *at < list->count;) {
        size_t index = (*at)++;
        const struct command *command = &list->items[index];
        if (!command->heading || !command_begins(command->name, words) ||
            command_word_count(command->name) <= count)
            continue;
        take_words(command->name, count + 1, next, sizeof next);
        if (is_first(list, index, next))
            return command;
    }
    return NULL;
}

void command_describe(const struct command_list *list, const char *name, char *buffer, size_t size)
{
    size_t used = 0, at = 0;
    char word[32];
    const struct command *command = command_named(list, name);
    if (command) {
        snprintf(buffer, size, "%s", command->summary);
        return;
    }
    *buffer = '\0';
    while ((command = command_next(list, name, &at)) && used < size) {
        command_word(command->name, command_word_count(name), word, sizeof word);
        used += (size_t)snprintf(buffer + used, size - used, "%s%s", used ? ", " : "", word);
    }
}

bool command_next_prefix(const struct command_list *list, struct command_prefixes *prefixes)
{
    for (; prefixes->at < list->count; prefixes->at++, prefixes->words = 0) {
        const struct command *command = &list->items[prefixes->at];
        while (command->heading && prefixes->words < command_word_count(command->name)) {
            take_words(command->name, ++prefixes->words, prefixes->text, sizeof prefixes->text);
            if (is_first(list, prefixes->at, prefixes->text))
                return true;
        }
    }
    return false;
}
