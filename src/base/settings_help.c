/* The help and the documentation of a command's settings. */
#include "base/settings.h"

#include <string.h>

#include "base/settings_option.h"

#define INDENT  8
#define COLUMNS 88

/* Writes words and keeps count of the column. */
struct wrapper {
    FILE *stream;
    size_t column; /* 0: at the line's start */
};

static void wrap(struct wrapper *wrapper, size_t indent, const char *text)
{
    while (*(text += strspn(text, " "))) {
        size_t length = strcspn(text, " ");
        if (wrapper->column && wrapper->column + 1 + length > COLUMNS) {
            fputc('\n', wrapper->stream);
            wrapper->column = 0;
        }
        if (wrapper->column == 0) {
            fprintf(wrapper->stream, "%*s", (int)indent, "");
            wrapper->column = indent;
        } else {
            fputc(' ', wrapper->stream);
            wrapper->column++;
        }
        fwrite(text, 1, length, wrapper->stream);
        wrapper->column += length;
        text += length;
    }
}

static void end_paragraph(struct wrapper *wrapper)
{
    if (wrapper->column)
        fputc('\n', wrapper->stream);
    wrapper->column = 0;
}

/* "--listen ADDR:PORT", "--[no-]tls" */
static void format_flag(const struct setting *setting, char *buffer, size_t size)
{
    if (setting->type != SETTING_FLAG)
        snprintf(buffer, size, "--%s %s", setting->name, setting->placeholder);
    else if (setting->environment)
        snprintf(buffer, size, "--[no-]%s", setting->name);
    else
        snprintf(buffer, size, "--%s%s", setting->name,
                 strcmp(setting->name, "help") == 0 ? ", -h" : "");
}

/* "STREAMPLEX_LISTEN, PORT" */
static void format_variables(const struct setting *setting, const char *separator, char *buffer,
                             size_t size)
{
    size_t used = (size_t)snprintf(buffer, size, "%s", setting->environment);
    const char *at = setting->reference ? setting->reference : "";
    while (*(at += strspn(at, " ")) && used < size) {
        size_t length = strcspn(at, " ");
        used += (size_t)snprintf(buffer + used, size - used, "%s%.*s", separator, (int)length, at);
        at += length;
    }
}

static void help_setting(const struct setting *setting, FILE *stream)
{
    struct wrapper wrapper = {stream, 0};
    char text[256];
    format_flag(setting, text, sizeof text);
    fprintf(stream, "  %s\n", text);
    wrap(&wrapper, INDENT, setting->help);
    if (setting->type == SETTING_LIST)
        wrap(&wrapper, INDENT, "May be given more than once.");
    end_paragraph(&wrapper);
    if (setting->fallback) {
        snprintf(text, sizeof text, "Default: %s.", setting->fallback);
        wrap(&wrapper, INDENT, text);
    }
    if (setting->environment) {
        char variables[160];
        format_variables(setting, " or ", variables, sizeof variables);
        snprintf(text, sizeof text, "Environment: %s.", variables);
        wrap(&wrapper, INDENT, text);
    }
    end_paragraph(&wrapper);
}

void settings_help(const struct settings_table *table, FILE *stream)
{
    struct wrapper wrapper = {stream, 0};
    fprintf(stream, "Usage: streamplex %s [OPTION]...%s%s\n\n", table->command,
            *table->arguments ? " " : "", table->arguments);
    wrap(&wrapper, 0, table->summary);
    end_paragraph(&wrapper);
    fprintf(stream, "\nOptions:\n");
    for (const struct setting *setting = table->settings; setting->name; setting++)
        help_setting(setting, stream);
}

/* A bar would end the table's cell. */
static void put_cell(const char *text, FILE *stream)
{
    for (; *text; text++) {
        if (*text == '|')
            fputc('\\', stream);
        fputc(*text, stream);
    }
}

static void markdown_setting(const struct setting *setting, FILE *stream)
{
    char text[256];
    format_flag(setting, text, sizeof text);
    fprintf(stream, "| `");
    put_cell(text, stream);
    fprintf(stream, "` | ");
    if (setting->fallback)
        fprintf(stream, "`%s`", setting->fallback);
    fprintf(stream, " | ");
    if (setting->environment) {
        format_variables(setting, "`, `", text, sizeof text);
        fprintf(stream, "`%s`", text);
    }
    fprintf(stream, " | %s | ", setting->reloadable ? "yes" : "");
    put_cell(setting->help, stream);
    fprintf(stream, "%s |\n", setting->type == SETTING_LIST ? " May be given more than once." : "");
}

void settings_markdown(const struct settings_table *table, FILE *stream)
{
    fprintf(stream, "| Option | Default | Environment | Reload | What it does |\n");
    fprintf(stream, "|---|---|---|---|---|\n");
    for (const struct setting *setting = table->settings; setting->name; setting++)
        markdown_setting(setting, stream);
}

bool settings_answer_help(const struct settings_table *table, int argc, char **argv, FILE *stream)
{
    struct option_walk walk = {table, argc, argv, 1, false};
    struct option option = {0};
    char error[256];
    int more;
    /* What is wrong with other options is for settings_read() to say. */
    while ((more = settings_next_option(&walk, &option, error, sizeof error)) != 0) {
        if (more < 0 || !option.setting || strcmp(option.setting->name, "help") != 0)
            continue;
        if (strcmp(option.text, "markdown") == 0)
            settings_markdown(table, stream);
        else if (strcmp(option.text, "yes") == 0)
            settings_help(table, stream);
        else
            continue;
        return true;
    }
    return false;
}
