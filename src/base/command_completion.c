#include "base/command_completion.h"

#include <string.h>

enum completion_value completion_value_of(const struct setting *setting)
{
    static const char *const files[] = {"FILE", "FOLDER", "PATH", "DIR", "PROGRAM"};
    if (setting->type == SETTING_FLAG)
        return COMPLETION_NONE;
    if (setting->type == SETTING_CHOICE)
        return COMPLETION_CHOICES;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (strcmp(setting->placeholder, files[i]) == 0)
            return COMPLETION_FILE;
    return COMPLETION_ANY;
}

bool completion_takes_files(const struct settings_table *table)
{
    return strstr(table->arguments, "FILE") != NULL;
}

void completion_sentence(const char *help, char *buffer, size_t size)
{
    const char *end = strstr(help, ". ");
    size_t length = end ? (size_t)(end - help) : strlen(help);
    if (length && help[length - 1] == '.')
        length--;
    snprintf(buffer, size, "%.*s", (int)length, help);
}

void completion_put(const char *text, const char *escaped, const char *quote, FILE *stream)
{
    for (; *text; text++) {
        if (*text == '\'') {
            fputs(quote, stream);
            continue;
        }
        if (strchr(escaped, *text))
            fputc('\\', stream);
        fputc(*text, stream);
    }
}
