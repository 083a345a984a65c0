/* The command line: which words are options, which their values. */
#include "base/settings_option.h"

#include <string.h>

#include "base/settings_value.h"

static int fail_unknown(const struct option_walk *walk, const char *name, size_t length,
                        char *error, size_t error_size)
{
    const char *nearest = settings_nearest(walk->table, name, length);
    int shown = length > 80 ? 80 : (int)length;
    if (nearest)
        snprintf(error, error_size, "unknown option --%.*s; did you mean --%s?", shown, name,
                 nearest);
    else
        snprintf(error, error_size, "unknown option --%.*s; see streamplex %s --help", shown, name,
                 walk->table->command);
    return -1;
}

/* `value` is what stands after '=', or NULL. */
static int take_flag(const struct setting *setting, bool negated, const char *value,
                     struct option *ret_option, char *error, size_t error_size)
{
    if (negated && value) {
        snprintf(error, error_size, "--no-%s takes no value", setting->name);
        return -1;
    }
    *ret_option = (struct option){setting, negated ? "no" : value ? value : "yes"};
    return 1;
}

static int take_value(struct option_walk *walk, const struct setting *setting, const char *value,
                      struct option *ret_option, char *error, size_t error_size)
{
    if (!value) {
        /* A value that looks like an option is more often a forgotten value. */
        const char *next = walk->at < walk->argc ? walk->argv[walk->at] : NULL;
        if (!next || strncmp(next, "--", 2) == 0) {
            snprintf(error, error_size, "--%s needs a value: --%s=%s", setting->name, setting->name,
                     setting->placeholder);
            return -1;
        }
        value = next;
        walk->at++;
    }
    *ret_option = (struct option){setting, value};
    return 1;
}

static int take_long(struct option_walk *walk, const char *name, struct option *ret_option,
                     char *error, size_t error_size)
{
    size_t length = strcspn(name, "=");
    const char *value = name[length] ? name + length + 1 : NULL;
    const struct setting *setting = settings_find(walk->table, name, length);
    bool negated = false;
    if (!setting && length > 3 && (strncmp(name, "no-", 3) == 0 || strncmp(name, "no_", 3) == 0)) {
        setting = settings_find(walk->table, name + 3, length - 3);
        negated = true;
        if (setting && setting->type != SETTING_FLAG)
            setting = NULL;
    }
    if (!setting)
        return fail_unknown(walk, name, length, error, error_size);
    if (setting->type == SETTING_FLAG)
        return take_flag(setting, negated, value, ret_option, error, error_size);
    return take_value(walk, setting, value, ret_option, error, error_size);
}

int settings_next_option(struct option_walk *walk, struct option *ret_option, char *error,
                         size_t error_size)
{
    const char *word;
    if (walk->at < walk->argc && !walk->positional && strcmp(walk->argv[walk->at], "--") == 0) {
        walk->positional = true;
        walk->at++;
    }
    if (walk->at >= walk->argc)
        return 0;
    word = walk->argv[walk->at++];
    if (walk->positional || word[0] != '-' || !word[1]) {
        *ret_option = (struct option){NULL, word};
        return 1;
    }
    if (word[1] == '-')
        return take_long(walk, word + 2, ret_option, error, error_size);
    if (strcmp(word, "-h") == 0)
        return take_long(walk, "help", ret_option, error, error_size);
    snprintf(error, error_size, "unknown option %.80s; options begin with two dashes", word);
    return -1;
}
