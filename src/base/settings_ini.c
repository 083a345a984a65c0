/* The INI file: lines to pairs of a name and a value. */
#include "base/settings.h"

#include <stdarg.h>
#include <string.h>

/* The commands that have settings. A section of any other name is an error: a mistyped one would
 * silently take its rules out of force. */
static const char *const sections[] = {"serve", "dial", "connect", "bench"};

struct ini {
    const char *file_name;
    const char *section;             /* the one asked for; NULL: all */
    settings_on_section *on_section; /* sections of any name, by their own callback; or NULL */
    settings_on_pair *on_pair;
    void *user;
    int line;
    bool wanted; /* the section that we are in is the one asked for */
    char *error;
    size_t error_size;
};

__attribute__((format(printf, 2, 3))) static int fail(struct ini *ini, const char *format, ...)
{
    int used = snprintf(ini->error, ini->error_size, "%s:%d: ", ini->file_name, ini->line);
    va_list arguments;
    if (used >= 0 && (size_t)used < ini->error_size) {
        va_start(arguments, format);
        vsnprintf(ini->error + used, ini->error_size - (size_t)used, format, arguments);
        va_end(arguments);
    }
    return -1;
}

/* Takes blanks off both ends, in place. */
static char *trim(char *text)
{
    size_t length;
    text += strspn(text, " \t");
    length = strlen(text);
    while (length && strchr(" \t", text[length - 1]))
        text[--length] = '\0';
    return text;
}

static int take_section(struct ini *ini, char *text)
{
    size_t length = strlen(text);
    char *name;
    if (text[length - 1] != ']')
        return fail(ini, "a section is written [name]");
    text[length - 1] = '\0';
    name = trim(text + 1);
    if (ini->on_section) {
        char sentence[256] = "";
        if (ini->on_section(ini->user, name, ini->line, sentence, sizeof sentence) < 0)
            return fail(ini, "%s", sentence);
        return 0;
    }
    for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++)
        if (strcmp(name, sections[i]) == 0) {
            ini->wanted = !ini->section || strcmp(name, ini->section) == 0;
            return 0;
        }
    return fail(ini, "section [%.80s] is not known", name);
}

static int take_pair(struct ini *ini, char *text)
{
    char sentence[512] = "";
    char *value = strchr(text, '=');
    char *name = text;
    size_t length;
    if (!value)
        return fail(ini, "a setting is written name = value");
    *value++ = '\0';
    name = trim(name);
    value = trim(value);
    if (!*name)
        return fail(ini, "a setting is written name = value");
    length = strlen(value);
    if (value[0] == '"') {
        if (length < 2 || value[length - 1] != '"')
            return fail(ini, "the closing \" is missing");
        value[length - 1] = '\0';
        value++;
    }
    if (!ini->wanted)
        return 0;
    if (ini->on_pair(ini->user, name, value, ini->line, sentence, sizeof sentence) < 0)
        return fail(ini, "%s", sentence);
    return 0;
}

static int take_line(struct ini *ini, const char *text, size_t length)
{
    char line[SETTINGS_LINE_MAX + 1];
    char *trimmed;
    int result = 0;
    if (length && text[length - 1] == '\r')
        length--;
    if (length > SETTINGS_LINE_MAX)
        return fail(ini, "the line is longer than %d bytes", SETTINGS_LINE_MAX);
    for (size_t i = 0; i < length; i++)
        if (((unsigned char)text[i] < ' ' && text[i] != '\t') || text[i] == 0x7f)
            return fail(ini, "control characters can't be in this file");
    memcpy(line, text, length);
    line[length] = '\0';
    trimmed = trim(line);
    if (*trimmed == '[')
        result = take_section(ini, trimmed);
    else if (*trimmed && *trimmed != '#' && *trimmed != ';')
        result = take_pair(ini, trimmed);
    explicit_bzero(line, length); /* a token may have been in it */
    return result;
}

static int take_text(struct ini *ini, const char *text, size_t length)
{
    const char *end = text + length;
    if (length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        text += 3; /* the byte order mark of some editors */
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *line_end = newline ? newline : end;
        ini->line++;
        if (take_line(ini, text, (size_t)(line_end - text)) < 0)
            return -1;
        text = newline ? newline + 1 : end;
    }
    return 0;
}

int settings_parse_ini(const char *text, size_t length, const char *file_name, const char *section,
                       settings_on_pair *on_pair, void *user, char *error, size_t error_size)
{
    struct ini ini = {.file_name = file_name,
                      .section = section,
                      .on_pair = on_pair,
                      .user = user,
                      .wanted = true,
                      .error = error,
                      .error_size = error_size};
    return take_text(&ini, text, length);
}

int settings_parse_sections(const char *text, size_t length, const char *file_name,
                            settings_on_section *on_section, settings_on_pair *on_pair, void *user,
                            char *error, size_t error_size)
{
    struct ini ini = {.file_name = file_name,
                      .on_section = on_section,
                      .on_pair = on_pair,
                      .user = user,
                      .wanted = true,
                      .error = error,
                      .error_size = error_size};
    return take_text(&ini, text, length);
}
