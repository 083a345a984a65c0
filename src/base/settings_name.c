/* Finding a setting by its name, and the one that a mistyped name may mean. */
#include "base/settings_value.h"

#include <string.h>

#define NAME_MAX_COMPARED 40 /* longer ones than any setting's */

/* "socket_id" is "socket-id": clients of other servers write it so. */
static char plain(char letter)
{
    return letter == '_' ? '-' : letter;
}

static bool is_same(const char *own, const char *name, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (!own[i] || own[i] != plain(name[i]))
            return false;
    return !own[length];
}

const struct setting *settings_find(const struct settings_table *table, const char *name,
                                    size_t length)
{
    for (const struct setting *setting = table->settings; setting->name; setting++)
        if (is_same(setting->name, name, length))
            return setting;
    return NULL;
}

static size_t least_of(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* Levenshtein's: how many letters to insert, delete or replace. */
static size_t distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
    size_t row[NAME_MAX_COMPARED + 1];
    for (size_t j = 0; j <= b_length; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            size_t replaced = diagonal + (plain(a[i - 1]) != b[j - 1]);
            diagonal = row[j];
            row[j] = least_of(row[j] + 1, row[j - 1] + 1, replaced);
        }
    }
    return row[b_length];
}

const char *settings_nearest(const struct settings_table *table, const char *name, size_t length)
{
    const char *nearest = NULL;
    /* A third of the letters may be wrong; beyond that a suggestion is a guess. */
    size_t best = length / 3 + 1;
    if (length > NAME_MAX_COMPARED)
        return NULL;
    for (const struct setting *setting = table->settings; setting->name; setting++) {
        size_t own = strlen(setting->name);
        size_t far =
            own > NAME_MAX_COMPARED ? best + 1 : distance(name, length, setting->name, own);
        if (far < best || (far == best && !nearest)) {
            best = far;
            nearest = setting->name;
        }
    }
    return nearest;
}
