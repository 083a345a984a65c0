/* Answers of the API as tables, or as they came. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/client.h"
#include "base/text_table.h"

#define COLUMNS_MAX 40

const char *client_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* --- Values --- */

static void put_time(FILE *stream, json_int_t value)
{
    time_t seconds = (time_t)value;
    struct tm parts;
    char text[64];
    if (value == 0)
        fputs("never", stream);
    else if (gmtime_r(&seconds, &parts) && strftime(text, sizeof text, "%F %T UTC", &parts))
        fputs(text, stream);
    else
        fprintf(stream, "%" JSON_INTEGER_FORMAT, value);
}

static void put_bytes(FILE *stream, json_int_t value)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double bytes = (double)value;
    size_t unit = 0;
    while (bytes >= 1024 && unit + 1 < sizeof units / sizeof units[0]) {
        bytes /= 1024;
        unit++;
    }
    fprintf(stream, unit ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
}

static void put_number(FILE *stream, json_int_t value, enum client_kind kind)
{
    if (kind == CLIENT_TIME)
        put_time(stream, value);
    else if ((kind == CLIENT_LIMIT || kind == CLIENT_COUNT) && value == 0)
        fputs("none", stream);
    else if (kind == CLIENT_BYTES || kind == CLIENT_LIMIT)
        put_bytes(stream, value);
    else if (kind != CLIENT_RTT)
        fprintf(stream, "%" JSON_INTEGER_FORMAT, value);
    else if (value)
        fprintf(stream, "%.1f ms", (double)value / 1000);
}

/* Objects within lists are told by their number: `socket show` has tables for them. */
static void put_value(FILE *stream, const json_t *value, enum client_kind kind)
{
    switch (json_typeof(value)) {
    case JSON_STRING:
        fputs(json_string_value(value), stream);
        break;
    case JSON_INTEGER:
        put_number(stream, json_integer_value(value), kind);
        break;
    case JSON_REAL:
        fprintf(stream, "%g", json_real_value(value));
        break;
    case JSON_TRUE:
        fputs("yes", stream);
        break;
    case JSON_FALSE:
        fputs("no", stream);
        break;
    case JSON_ARRAY:
        if (json_is_object(json_array_get(value, 0))) {
            fprintf(stream, "%zu", json_array_size(value));
            break;
        }
        for (size_t i = 0; i < json_array_size(value); i++) {
            if (i)
                fputs(", ", stream);
            if (!json_is_array(json_array_get(value, i)))
                put_value(stream, json_array_get(value, i), kind);
        }
        break;
    case JSON_OBJECT:
    case JSON_NULL:
        break;
    }
}

/* Malloced; NULL: no memory. */
static char *make_text(const json_t *object, const struct client_column *column)
{
    const json_t *value = json_object_get(object, column->key);
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    if (!stream)
        return NULL;
    if (value)
        put_value(stream, value, column->kind);
    fclose(stream);
    return text;
}

/* --- Tables --- */

static int add_row(struct text_table *table, const json_t *object,
                   const struct client_column *columns, size_t count)
{
    char *cells[COLUMNS_MAX] = {NULL};
    int result = 0;
    for (size_t i = 0; i < count; i++)
        if (!(cells[i] = make_text(object, &columns[i])))
            result = -1;
    if (result == 0)
        result = text_table_add(table, (const char *const *)cells);
    for (size_t i = 0; i < count; i++)
        free(cells[i]);
    return result;
}

static void print_table(const struct client *client, struct text_table *table, int result)
{
    if (!table || result < 0)
        client_fail(client, CLIENT_WRONG, "out of memory");
    else
        text_table_print(table, stdout);
    text_table_free(table);
}

void client_print_json(const json_t *answer)
{
    /* In ASCII: what a terminal might obey is escaped. */
    json_dumpf(answer, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_ENCODE_ANY);
    fputc('\n', stdout);
}

void client_print_list(const struct client *client, const json_t *answer,
                       const struct client_column *columns, const char *none)
{
    const char *titles[COLUMNS_MAX];
    size_t count = 0;
    int result = 0;
    if (client->settings->json) {
        client_print_json(answer);
        return;
    }
    if (!answer || (json_is_array(answer) && json_array_size(answer) == 0)) {
        printf("%s\n", none);
        return;
    }
    for (; columns[count].title && count < COLUMNS_MAX; count++)
        titles[count] = columns[count].title;
    struct text_table *table = text_table_new(titles, count);
    if (table && !json_is_array(answer))
        result = add_row(table, answer, columns, count);
    for (size_t i = 0; table && i < json_array_size(answer) && result == 0; i++)
        result = add_row(table, json_array_get(answer, i), columns, count);
    print_table(client, table, result);
}

void client_print_object(const struct client *client, const json_t *answer,
                         const struct client_column *columns)
{
    static const char *const titles[] = {"name", "value"};
    int result = 0;
    if (client->settings->json) {
        client_print_json(answer);
        return;
    }
    struct text_table *table = text_table_new(titles, 2);
    for (; table && columns->title && result == 0; columns++) {
        char *text = make_text(answer, columns);
        result = text ? text_table_add(table, (const char *const[]){columns->title, text}) : -1;
        free(text);
    }
    print_table(client, table, result);
}

void client_print_done(const struct client *client, const json_t *answer, const char *format, ...)
{
    char text[1024];
    va_list list;
    if (client->settings->json) {
        if (answer)
            client_print_json(answer);
        else
            puts("{}");
        return;
    }
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    char *escaped = text_table_escape(text);
    puts(escaped ? escaped : "done");
    free(escaped);
}
