#include "base/text_table.h"

#include <locale.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "base/utf8.h"

struct text_table {
    const char *const *titles;
    size_t columns, rows;
    char **cells; /* row by row, escaped */
};

/* --- Text --- */

/* Of well-formed UTF-8. */
static unsigned decode(const char *text, size_t length)
{
    unsigned value = (unsigned char)text[0];
    if (length > 1)
        value &= 0xffu >> (length + 1);
    for (size_t i = 1; i < length; i++)
        value = value << 6 | ((unsigned char)text[i] & 0x3f);
    return value;
}

/* Unicode's bidirectional controls, its line separators and tags: unseen, and what comes after
 * isn't where it seems to be. */
static bool is_deceiving(unsigned value)
{
    return value == 0x061c || (value >= 0x200b && value <= 0x200f) ||
           (value >= 0x2028 && value <= 0x202e) || (value >= 0x2060 && value <= 0x206f) ||
           value == 0xfeff || (value >= 0xe0000 && value <= 0xe007f);
}

#define ESCAPED_MAX 10 /* "\U000e0001" */

/* Writes at most ESCAPED_MAX bytes and a NUL. Returns how many bytes of text it stands for. */
static size_t escape_one(const char *text, char *buffer)
{
    size_t length = utf8_length(text);
    unsigned value = length ? decode(text, length) : (unsigned char)*text;
    if (!length)
        snprintf(buffer, ESCAPED_MAX + 1, "\\x%02x", value);
    else if (value == '\n' || value == '\r' || value == '\t')
        snprintf(buffer, ESCAPED_MAX + 1, "\\%c", value == '\n' ? 'n' : value == '\r' ? 'r' : 't');
    else if (utf8_is_control(text, length) && value < 0x80)
        snprintf(buffer, ESCAPED_MAX + 1, "\\x%02x", value);
    else if (utf8_is_control(text, length) || is_deceiving(value))
        snprintf(buffer, ESCAPED_MAX + 1, value > 0xffff ? "\\U%08x" : "\\u%04x", value);
    else {
        memcpy(buffer, text, length);
        buffer[length] = '\0';
    }
    return length ? length : 1;
}

char *text_table_escape(const char *text)
{
    char one[ESCAPED_MAX + 1], *escaped;
    size_t size = 1;
    for (const char *at = text; *at; size += strlen(one))
        at += escape_one(at, one);
    escaped = malloc(size);
    if (!escaped)
        return NULL;
    size = 0;
    while (*text) {
        text += escape_one(text, one);
        memcpy(escaped + size, one, strlen(one));
        size += strlen(one);
    }
    escaped[size] = '\0';
    return escaped;
}

size_t text_table_width(const char *text)
{
    /* wcwidth() knows Unicode's widths in a UTF-8 locale alone. */
    locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0), before = (locale_t)0;
    size_t width = 0;
    if (utf8)
        before = uselocale(utf8);
    while (*text) {
        size_t length = utf8_length(text);
        int columns = length ? wcwidth((wchar_t)decode(text, length)) : 1;
        width += columns < 0 ? 1 : (size_t)columns;
        text += length ? length : 1;
    }
    if (utf8) {
        uselocale(before);
        freelocale(utf8);
    }
    return width;
}

/* --- Tables --- */

struct text_table *text_table_new(const char *const *titles, size_t columns)
{
    struct text_table *table = calloc(1, sizeof *table);
    if (table) {
        table->titles = titles;
        table->columns = columns;
    }
    return table;
}

void text_table_free(struct text_table *table)
{
    if (!table)
        return;
    for (size_t i = 0; i < table->rows * table->columns; i++)
        free(table->cells[i]);
    free(table->cells);
    free(table);
}

int text_table_add(struct text_table *table, const char *const *cells)
{
    size_t before = table->rows * table->columns;
    char **grown = realloc(table->cells, (before + table->columns) * sizeof *grown);
    if (!grown)
        return -1;
    table->cells = grown;
    for (size_t i = 0; i < table->columns; i++) {
        grown[before + i] = text_table_escape(cells[i] ? cells[i] : "");
        if (grown[before + i])
            continue;
        while (i--)
            free(grown[before + i]);
        return -1;
    }
    table->rows++;
    return 0;
}

size_t text_table_rows(const struct text_table *table)
{
    return table->rows;
}

static void put_repeated(char letter, size_t count, FILE *stream)
{
    while (count--)
        fputc(letter, stream);
}

static size_t column_width(const struct text_table *table, size_t column)
{
    size_t widest = text_table_width(table->titles[column]);
    for (size_t row = 0; row < table->rows; row++) {
        size_t width = text_table_width(table->cells[row * table->columns + column]);
        if (width > widest)
            widest = width;
    }
    return widest;
}

static void put_border(const size_t *widths, size_t columns, FILE *stream)
{
    for (size_t i = 0; i < columns; i++) {
        fputc('+', stream);
        put_repeated('-', widths[i] + 2, stream);
    }
    fputs("+\n", stream);
}

static void put_row(const char *const *cells, const size_t *widths, size_t columns, FILE *stream)
{
    for (size_t i = 0; i < columns; i++) {
        fprintf(stream, "| %s ", cells[i]);
        put_repeated(' ', widths[i] - text_table_width(cells[i]), stream);
    }
    fputs("|\n", stream);
}

void text_table_print(const struct text_table *table, FILE *stream)
{
    size_t *widths = calloc(table->columns, sizeof *widths);
    if (!widths)
        return;
    for (size_t i = 0; i < table->columns; i++)
        widths[i] = column_width(table, i);
    put_border(widths, table->columns, stream);
    put_row(table->titles, widths, table->columns, stream);
    put_border(widths, table->columns, stream);
    for (size_t row = 0; row < table->rows; row++)
        put_row((const char *const *)&table->cells[row * table->columns], widths, table->columns,
                stream);
    if (table->rows)
        put_border(widths, table->columns, stream);
    free(widths);
}
