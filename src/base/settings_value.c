/* The values of settings: numbers with units, lists, choices. */
#include "base/settings_value.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

struct unit {
    const char *suffix;
    uint64_t factor;
};

/* Largest first: the first that divides a value evenly writes it shortest. */
static const struct unit size_units[] = {
    {"g", 1 << 30}, {"m", 1 << 20}, {"k", 1 << 10}, {"", 1}, {NULL, 0}};
static const struct unit duration_units[] = {{"d", 86400000000}, {"h", 3600000000}, {"m", 60000000},
                                             {"s", 1000000},     {"ms", 1000},      {"us", 1},
                                             {"", 1000000},      {NULL, 0}};
static const struct unit number_units[] = {{"", 1}, {NULL, 0}};

static const struct unit *units_of(enum setting_type type)
{
    if (type == SETTING_SIZE)
        return size_units;
    return type == SETTING_DURATION ? duration_units : number_units;
}

static const char *kind_of(enum setting_type type)
{
    if (type == SETTING_SIZE)
        return "a size in bytes (like 4096, 64k, 16m, 1g)";
    if (type == SETTING_DURATION)
        return "a duration (like 250ms, 30s, 5m, 2h; a bare number is seconds)";
    return "a whole number";
}

static int parse_scaled(const char *text, const struct unit *units, uint64_t *ret_number)
{
    uint64_t number = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++)
        if (__builtin_mul_overflow(number, UINT64_C(10), &number) ||
            __builtin_add_overflow(number, (uint64_t)(*at - '0'), &number))
            return -1;
    if (at == text)
        return -1;
    for (; units->suffix; units++)
        if (strcasecmp(at, units->suffix) == 0)
            return __builtin_mul_overflow(number, units->factor, ret_number) ? -1 : 0;
    return -1;
}

static const char *format_scaled(uint64_t number, const struct unit *units, char buffer[32])
{
    while (number % units->factor != 0)
        units++;
    snprintf(buffer, 32, "%" PRIu64 "%s", number / units->factor, number ? units->suffix : "");
    return buffer;
}

static int check_range(const struct setting *setting, uint64_t number, char *error,
                       size_t error_size)
{
    const struct unit *units = units_of(setting->type);
    char least[32], most[32];
    if (number >= setting->least && (setting->most == 0 || number <= setting->most))
        return 0;
    format_scaled(setting->least, units, least);
    format_scaled(setting->most, units, most);
    if (setting->most == 0)
        snprintf(error, error_size, "must be at least %s", least);
    else if (setting->least == 0)
        snprintf(error, error_size, "must be at most %s", most);
    else
        snprintf(error, error_size, "must be from %s to %s", least, most);
    return -1;
}

static int set_number(const struct setting *setting, uint64_t *field, const char *text, char *error,
                      size_t error_size)
{
    uint64_t number;
    if (parse_scaled(text, units_of(setting->type), &number) < 0) {
        snprintf(error, error_size, "\"%.80s\" is not %s", text, kind_of(setting->type));
        return -1;
    }
    if (check_range(setting, number, error, error_size) < 0)
        return -1;
    *field = number;
    return 0;
}

static int set_flag(bool *field, const char *text, char *error, size_t error_size)
{
    static const char *const words[] = {"no", "yes", "false", "true", "off", "on", "0", "1"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcasecmp(text, words[i]) == 0) {
            *field = i % 2;
            return 0;
        }
    snprintf(error, error_size, "\"%.80s\" is neither yes nor no", text);
    return -1;
}

static int set_choice(const struct setting *setting, int *field, const char *text, char *error,
                      size_t error_size)
{
    size_t used;
    for (int i = 0; setting->choices[i]; i++)
        if (strcmp(text, setting->choices[i]) == 0) {
            *field = i;
            return 0;
        }
    used = (size_t)snprintf(error, error_size, "\"%.80s\" is none of", text);
    for (int i = 0; setting->choices[i] && used < error_size; i++)
        used += (size_t)snprintf(error + used, error_size - used, "%s %s", i ? "," : "",
                                 setting->choices[i]);
    return -1;
}

static void free_text(const struct setting *setting, char *text)
{
    if (text && setting->secret)
        explicit_bzero(text, strlen(text));
    free(text);
}

static int check_text(const struct setting *setting, const char *text, char *error,
                      size_t error_size)
{
    return setting->check ? setting->check(text, error, error_size) : 0;
}

static int add_item(const struct setting *setting, struct setting_list *list, const char *text,
                    size_t length, char *error, size_t error_size)
{
    char **items;
    if (list->count == SETTINGS_LIST_MAX) {
        snprintf(error, error_size, "more than %d values", SETTINGS_LIST_MAX);
        return -1;
    }
    /* Room doubles whenever the count is a power of two. */
    if ((list->count & (list->count - 1)) == 0) {
        size_t room = list->count ? list->count * 2 : 1;
        items = realloc(list->items, room * sizeof *items);
        if (!items)
            goto no_memory;
        list->items = items;
    }
    list->items[list->count] = strndup(text, length);
    if (!list->items[list->count])
        goto no_memory;
    if (check_text(setting, list->items[list->count], error, error_size) < 0) {
        free_text(setting, list->items[list->count]);
        return -1;
    }
    list->count++;
    return 0;
no_memory:
    snprintf(error, error_size, "out of memory");
    return -1;
}

static int add_items(const struct setting *setting, struct setting_list *list, const char *text,
                     char *error, size_t error_size)
{
    static const char separators[] = ", \t";
    size_t before = list->count;
    while (*(text += strspn(text, separators))) {
        size_t length = strcspn(text, separators);
        if (add_item(setting, list, text, length, error, error_size) < 0)
            return -1;
        text += length;
    }
    if (list->count > before)
        return 0;
    snprintf(error, error_size, "the value is empty");
    return -1;
}

static int set_text(const struct setting *setting, char **field, const char *text, char *error,
                    size_t error_size)
{
    if (check_text(setting, text, error, error_size) < 0)
        return -1;
    char *copy = strdup(text);
    if (!copy) {
        snprintf(error, error_size, "out of memory");
        return -1;
    }
    free_text(setting, *field);
    *field = copy;
    return 0;
}

int settings_value_set(const struct setting *setting, void *field, const char *text, bool whole,
                       char *error, size_t error_size)
{
    if (!*text) {
        snprintf(error, error_size, "the value is empty");
        return -1;
    }
    switch (setting->type) {
    case SETTING_TEXT:
        return set_text(setting, field, text, error, error_size);
    case SETTING_LIST:
        return whole || setting->secret
                   ? add_item(setting, field, text, strlen(text), error, error_size)
                   : add_items(setting, field, text, error, error_size);
    case SETTING_FLAG:
        return set_flag(field, text, error, error_size);
    case SETTING_NUMBER:
    case SETTING_SIZE:
    case SETTING_DURATION:
        return set_number(setting, field, text, error, error_size);
    case SETTING_CHOICE:
        return set_choice(setting, field, text, error, error_size);
    }
    return -1;
}

void settings_value_clear(const struct setting *setting, void *field)
{
    struct setting_list *list = field;
    switch (setting->type) {
    case SETTING_TEXT:
        free_text(setting, *(char **)field);
        *(char **)field = NULL;
        break;
    case SETTING_LIST:
        for (size_t i = 0; i < list->count; i++)
            free_text(setting, list->items[i]);
        free(list->items);
        *list = (struct setting_list){0};
        break;
    case SETTING_FLAG:
        *(bool *)field = false;
        break;
    case SETTING_NUMBER:
    case SETTING_SIZE:
    case SETTING_DURATION:
        *(uint64_t *)field = 0;
        break;
    case SETTING_CHOICE:
        *(int *)field = 0;
        break;
    }
}

static bool lists_equal(const struct setting_list *a, const struct setting_list *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(a->items[i], b->items[i]) != 0)
            return false;
    return true;
}

bool settings_value_equal(const struct setting *setting, const void *a, const void *b)
{
    switch (setting->type) {
    case SETTING_TEXT:
        return text_equal(*(char *const *)a, *(char *const *)b);
    case SETTING_LIST:
        return lists_equal(a, b);
    case SETTING_FLAG:
        return *(const bool *)a == *(const bool *)b;
    case SETTING_NUMBER:
    case SETTING_SIZE:
    case SETTING_DURATION:
        return *(const uint64_t *)a == *(const uint64_t *)b;
    case SETTING_CHOICE:
        return *(const int *)a == *(const int *)b;
    }
    return false;
}
