/* Reads a command's settings: flags, environment, file, defaults, from the strongest to the
 * weakest, so that each value finds out whether a stronger one is there already. */
#include "base/settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/settings_option.h"
#include "base/settings_value.h"

/* The whole file: a hundred times what every setting with its explanation takes. */
#define FILE_SIZE_MAX (1 << 20)

enum source { FROM_NOWHERE, FROM_DEFAULT, FROM_FILE, FROM_ENVIRONMENT, FROM_FLAG };

struct origin {
    enum source source;
    int line; /* where the file has it; 0: nowhere */
};

struct reading {
    const struct settings_table *table;
    unsigned char *values;
    struct origin *origins; /* one for each setting */
    char *error;
    size_t error_size;
};

static void *field_of(const struct reading *reading, const struct setting *setting)
{
    return reading->values + setting->offset;
}

static struct origin *origin_of(const struct reading *reading, const struct setting *setting)
{
    return &reading->origins[setting - reading->table->settings];
}

/* A value of this source: stored, unless a stronger source has given one; then only checked. */
static int give(const struct reading *reading, const struct setting *setting, enum source source,
                const char *text, bool whole, char *error, size_t error_size)
{
    struct origin *origin = origin_of(reading, setting);
    void *field = field_of(reading, setting);
    if (origin->source > source) {
        union settings_field scratch = {0};
        int result = settings_value_set(setting, &scratch, text, whole, error, error_size);
        settings_value_clear(setting, &scratch);
        return result;
    }
    if (origin->source < source)
        settings_value_clear(setting, field);
    origin->source = source;
    return settings_value_set(setting, field, text, whole, error, error_size);
}

/* The same, with the place put before the sentence: "PORT: ..." */
static int give_from(const struct reading *reading, const struct setting *setting,
                     enum source source, const char *text, bool whole, const char *place)
{
    char sentence[512] = "";
    if (give(reading, setting, source, text, whole, sentence, sizeof sentence) == 0)
        return 0;
    snprintf(reading->error, reading->error_size, "%s: %s", place, sentence);
    return -1;
}

static int read_flags(const struct reading *reading, int argc, char **argv, char **arguments,
                      int *argument_count)
{
    struct option_walk walk = {reading->table, argc, argv, 1, false};
    struct option option;
    char place[80];
    int more;
    while ((more = settings_next_option(&walk, &option, reading->error, reading->error_size)) > 0) {
        if (!option.setting && !arguments) {
            snprintf(reading->error, reading->error_size,
                     "unexpected argument \"%.80s\"; streamplex %s takes options alone",
                     option.text, reading->table->command);
            return -1;
        }
        if (!option.setting) {
            arguments[(*argument_count)++] = argv[walk.at - 1];
            continue;
        }
        snprintf(place, sizeof place, "--%s", option.setting->name);
        if (give_from(reading, option.setting, FROM_FLAG, option.text, true, place) < 0)
            return -1;
    }
    return more;
}

static const char *variable(const char *name)
{
    const char *value = name ? getenv(name) : NULL;
    return value && *value ? value : NULL;
}

static int give_reference(const struct reading *reading, const struct setting *setting,
                          const char *name, const char *value)
{
    char converted[256];
    if (setting->from_reference) {
        if (setting->from_reference(value, converted, sizeof converted) < 0) {
            if (setting->secret)
                snprintf(reading->error, reading->error_size, "%s: not a value for --%s", name,
                         setting->name);
            else
                snprintf(reading->error, reading->error_size,
                         "%s: \"%.80s\" is not a value for --%s", name, value, setting->name);
            return -1;
        }
        value = converted;
    }
    return give_from(reading, setting, FROM_ENVIRONMENT, value, true, name);
}

static int read_reference(const struct reading *reading, const struct setting *setting)
{
    const char *at = setting->reference ? setting->reference : "";
    char name[64];
    while (*(at += strspn(at, " "))) {
        size_t length = strcspn(at, " ");
        const char *value;
        snprintf(name, sizeof name, "%.*s", (int)length, at);
        value = variable(name);
        if (value)
            return give_reference(reading, setting, name, value);
        at += length;
    }
    return 0;
}

static int read_environment(const struct reading *reading)
{
    for (const struct setting *setting = reading->table->settings; setting->name; setting++) {
        const char *value = variable(setting->environment);
        if (value &&
            give_from(reading, setting, FROM_ENVIRONMENT, value, false, setting->environment) < 0)
            return -1;
        if (origin_of(reading, setting)->source < FROM_ENVIRONMENT &&
            read_reference(reading, setting) < 0)
            return -1;
    }
    return 0;
}

static int on_pair(void *user, const char *name, const char *value, int line, char *error,
                   size_t error_size)
{
    const struct reading *reading = user;
    const struct setting *setting = settings_find(reading->table, name, strlen(name));
    struct origin *origin;
    char sentence[400] = "";
    if (!setting) {
        const char *nearest = settings_nearest(reading->table, name, strlen(name));
        snprintf(error, error_size, "unknown setting \"%.80s\"%s%s%s", name,
                 nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
        return -1;
    }
    origin = origin_of(reading, setting);
    if (!setting->environment || strcmp(name, "config") == 0) {
        snprintf(error, error_size, "%s can't be set in a file", name);
        return -1;
    }
    if (origin->line && setting->type != SETTING_LIST) {
        snprintf(error, error_size, "%s is set already in line %d", name, origin->line);
        return -1;
    }
    origin->line = line;
    if (give(reading, setting, FROM_FILE, value, false, sentence, sizeof sentence) == 0)
        return 0;
    snprintf(error, error_size, "%s: %s", name, sentence);
    return -1;
}

int settings_read_text(const char *path, size_t most, char **ret_text, size_t *ret_length)
{
    FILE *file = fopen(path, "re");
    char *text = malloc(most + 1);
    int result = file ? 0 : -errno;
    size_t length = 0;
    if (result == 0 && !text)
        result = -ENOMEM;
    if (result == 0) {
        errno = 0;
        length = fread(text, 1, most + 1, file);
        if (ferror(file))
            result = -(errno ? errno : EIO);
        else if (length > most)
            result = -EFBIG;
    }
    if (file)
        fclose(file);
    if (result < 0) {
        if (text)
            explicit_bzero(text, length);
        free(text);
        return result;
    }
    *ret_text = text;
    *ret_length = length;
    return 0;
}

static int read_file(struct reading *reading)
{
    const struct setting *setting = settings_find(reading->table, "config", strlen("config"));
    const char *path = setting ? *(char **)field_of(reading, setting) : NULL;
    size_t length = 0;
    char *text;
    int result;
    if (!path)
        return 0;
    result = settings_read_text(path, FILE_SIZE_MAX, &text, &length);
    if (result < 0) {
        snprintf(reading->error, reading->error_size, "%s: %s", path, strerror(-result));
        return -1;
    }
    result = settings_parse_ini(text, length, path, reading->table->command, on_pair, reading,
                                reading->error, reading->error_size);
    explicit_bzero(text, length);
    free(text);
    return result;
}

static int read_defaults(const struct reading *reading)
{
    char place[80];
    for (const struct setting *setting = reading->table->settings; setting->name; setting++) {
        if (!setting->fallback || origin_of(reading, setting)->source != FROM_NOWHERE)
            continue;
        snprintf(place, sizeof place, "default of --%s", setting->name);
        if (give_from(reading, setting, FROM_DEFAULT, setting->fallback, false, place) < 0)
            return -1;
    }
    return 0;
}

static size_t count_settings(const struct settings_table *table)
{
    size_t count = 0;
    while (table->settings[count].name)
        count++;
    return count;
}

int settings_read(const struct settings_table *table, int argc, char **argv, void *values,
                  char ***ret_arguments, int *ret_argument_count, char *error, size_t error_size)
{
    size_t count = count_settings(table);
    struct origin *origins = calloc(count + 1, sizeof *origins);
    char **arguments = ret_arguments ? calloc((size_t)argc + 1, sizeof *arguments) : NULL;
    int argument_count = 0;
    struct reading reading = {table, values, origins, error, error_size};
    int result = -1;
    if (!origins || (ret_arguments && !arguments))
        snprintf(error, error_size, "out of memory");
    else if (read_flags(&reading, argc, argv, arguments, &argument_count) == 0 &&
             read_environment(&reading) == 0 && read_file(&reading) == 0 &&
             read_defaults(&reading) == 0)
        result = 0;
    free(origins);
    if (result < 0 || !ret_arguments) {
        free(arguments);
        return result;
    }
    *ret_arguments = arguments;
    *ret_argument_count = argument_count;
    return 0;
}

void settings_free(const struct settings_table *table, void *values)
{
    for (const struct setting *setting = table->settings; setting->name; setting++)
        settings_value_clear(setting, (unsigned char *)values + setting->offset);
}

const char *settings_find_fixed_change(const struct settings_table *table, const void *before,
                                       const void *after)
{
    for (const struct setting *setting = table->settings; setting->name; setting++)
        if (!setting->reloadable &&
            !settings_value_equal(setting, (const unsigned char *)before + setting->offset,
                                  (const unsigned char *)after + setting->offset))
            return setting->name;
    return NULL;
}
