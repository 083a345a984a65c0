#include "base/command_man.h"

#include <ctype.h>
#include <string.h>

/* Text for roff: neither its escapes nor, at a line's start, its requests. Dashes are those of the
 * keyboard, so that they can be copied. */
static void put(const char *text, FILE *stream)
{
    if (*text == '.' || *text == '\'')
        fputs("\\&", stream);
    for (; *text; text++)
        if (*text == '\\')
            fputs("\\e", stream);
        else if (*text == '-')
            fputs("\\-", stream);
        else if (*text == '~')
            fputs("\\(ti", stream);
        else if (*text == '^')
            fputs("\\(ha", stream);
        else if (*text == '`')
            fputs("\\(ga", stream);
        else
            fputc(*text, stream);
}

/* A paragraph, a line a sentence's worth: roff fills them. Long lines are bad manners. */
static void put_filled(const char *text, FILE *stream)
{
    size_t column = 0;
    while (*(text += strspn(text, " "))) {
        size_t length = strcspn(text, " ");
        char word[256];
        if (column && column + 1 + length > 76) {
            fputc('\n', stream);
            column = 0;
        } else if (column) {
            fputc(' ', stream);
            column++;
        }
        snprintf(word, sizeof word, "%.*s", (int)length, text);
        put(word, stream);
        column += length;
        text += length;
    }
    fputc('\n', stream);
}

static void put_title(const char *page, const char *version, FILE *stream)
{
    fputs(".TH ", stream);
    if (strcmp(page, "streamplex") != 0)
        fputs("STREAMPLEX\\-", stream);
    for (; *page; page++)
        fputc(toupper((unsigned char)*page), stream);
    /* Without a date: the same sources give the same page. */
    fprintf(stream, " 1 \"\" \"streamplex %s\" \"User Commands\"\n", version);
}

/* --- Options --- */

static void put_option_name(const struct setting *setting, FILE *stream)
{
    fputs(".TP\n", stream);
    if (setting->type != SETTING_FLAG) {
        fputs(".BI \\-\\-", stream);
        put(setting->name, stream);
        fputs(" \" \" \"", stream);
        put(setting->placeholder, stream);
        fputs("\"\n", stream);
        return;
    }
    fputs(".B \\-\\-", stream);
    if (setting->environment)
        fputs("[no\\-]", stream);
    put(setting->name, stream);
    fputs(strcmp(setting->name, "help") == 0 ? ", \\-h\n" : "\n", stream);
}

static void put_choices(const char *const *choices, FILE *stream)
{
    fputs("One of", stream);
    for (; *choices; choices++) {
        fputc(' ', stream);
        put(*choices, stream);
        fputs(choices[1] ? "," : ".\n", stream);
    }
}

static void put_option(const struct setting *setting, FILE *stream)
{
    put_option_name(setting, stream);
    put_filled(setting->help, stream);
    if (setting->type == SETTING_LIST)
        fputs("May be given more than once.\n", stream);
    if (setting->type == SETTING_CHOICE)
        put_choices(setting->choices, stream);
    if (setting->fallback) {
        fputs("Default: ", stream);
        put(setting->fallback, stream);
        fputs(".\n", stream);
    }
    if (setting->environment) {
        fputs("Environment: ", stream);
        put(setting->environment, stream);
        for (const char *at = setting->reference ? setting->reference : "";
             *(at += strspn(at, " "));) {
            char name[64];
            size_t length = strcspn(at, " ");
            snprintf(name, sizeof name, "%.*s", (int)length, at);
            fputs(" or ", stream);
            put(name, stream);
            at += length;
        }
        fputs(".\n", stream);
    }
}

static void put_usage(const struct command *command, FILE *stream)
{
    fputs(".B streamplex ", stream);
    put(command->name, stream);
    fputs("\n[\\fIOPTION\\fR]...", stream);
    if (*command->table->arguments) {
        fputs(" \\fI", stream);
        put(command->table->arguments, stream);
        fputs("\\fR", stream);
    }
    fputc('\n', stream);
}

/* --- Pages --- */

static void put_command(const struct command *command, bool is_alone, FILE *stream)
{
    fputs(is_alone ? ".SH DESCRIPTION\n" : ".SS ", stream);
    if (!is_alone) {
        put(command->name, stream);
        fputc('\n', stream);
    }
    put_filled(command->table->summary, stream);
    if (is_alone)
        fputs(".SH OPTIONS\nAn underscore in an option's name is as a dash.\n", stream);
    for (const struct setting *setting = command->table->settings; setting->name; setting++)
        put_option(setting, stream);
}

static void put_see_also(const struct command_list *list, const char *page, FILE *stream)
{
    size_t at = 0;
    bool is_first = true;
    char word[32];
    fputs(".SH SEE ALSO\n", stream);
    if (strcmp(page, "streamplex") != 0) {
        fputs(".BR streamplex (1)", stream);
        is_first = false;
    }
    for (const struct command *command; (command = command_next(list, "", &at));) {
        command_word(command->name, 0, word, sizeof word);
        if (strcmp(word, page) == 0)
            continue;
        fprintf(stream, "%s.BR streamplex\\-%s (1)", is_first ? "" : ",\n", word);
        is_first = false;
    }
    fputc('\n', stream);
}

static void put_overview(const struct command_list *list, FILE *stream)
{
    const char *heading = NULL;
    put_title("streamplex", list->version, stream);
    fputs(".SH NAME\nstreamplex \\- tunnels of many streams in one TLS connection\n"
          ".SH SYNOPSIS\n.B streamplex\n\\fICOMMAND\\fR [\\fIOPTION\\fR]...\n"
          ".SH COMMANDS\n",
          stream);
    for (size_t i = 0; i < list->count; i++) {
        const struct command *command = &list->items[i];
        if (!command->heading)
            continue;
        if (!heading || strcmp(heading, command->heading) != 0) {
            fputs(".SS ", stream);
            put(command->heading, stream);
            fputc('\n', stream);
        }
        heading = command->heading;
        fputs(".TP\n.B ", stream);
        put(command->name, stream);
        fputc('\n', stream);
        put_filled(command->summary, stream);
    }
    put_see_also(list, "streamplex", stream);
}

static void put_group(const struct command_list *list, const char *page, size_t first, size_t count,
                      FILE *stream)
{
    char description[256];
    put_title(page, list->version, stream);
    fputs(".SH NAME\nstreamplex\\-", stream);
    put(page, stream);
    command_describe(list, page, description, sizeof description);
    fputs(" \\- ", stream);
    put(description, stream);
    fputs("\n.SH SYNOPSIS\n", stream);
    for (size_t i = 0, shown = 0; i < list->count; i++)
        if (list->items[i].heading && command_begins(list->items[i].name, page)) {
            if (shown++)
                fputs(".br\n", stream);
            put_usage(&list->items[i], stream);
        }
    if (count == 1) {
        put_command(&list->items[first], true, stream);
    } else {
        fputs(".SH COMMANDS\nAn underscore in an option's name is as a dash.\n", stream);
        for (size_t i = 0; i < list->count; i++)
            if (list->items[i].heading && command_begins(list->items[i].name, page))
                put_command(&list->items[i], false, stream);
    }
    put_see_also(list, page, stream);
}

int command_man(const struct command_list *list, const char *page, FILE *stream)
{
    size_t first = 0, count = 0;
    if (strcmp(page, "streamplex") == 0) {
        put_overview(list, stream);
        return 0;
    }
    if (!*page || strchr(page, ' '))
        return -1;
    for (size_t i = list->count; i-- > 0;)
        if (list->items[i].heading && command_begins(list->items[i].name, page)) {
            first = i;
            count++;
        }
    if (count == 0)
        return -1;
    put_group(list, page, first, count, stream);
    return 0;
}
