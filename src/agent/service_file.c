/* A services file: sections to services. */
#include "agent/service.h"

#include <stdio.h>
#include <string.h>

#include "base/settings_value.h"

struct file {
    struct service_list *list;
    const char *file_name, *machine;
    bool in_section;
    int section_line;
    char section[SERVICE_NAME_MAX + 1];
    struct service_settings settings; /* of the section that is being read */
    /* Which of the table's settings it has already: a second one would hide the first. */
    uint32_t seen;
};

static int give_defaults(struct file *file, char *error, size_t error_size)
{
    for (const struct setting *setting = service_table.settings; setting->name; setting++) {
        void *field = (unsigned char *)&file->settings + setting->offset;
        if (setting->fallback && !(file->seen & 1u << (setting - service_table.settings)) &&
            settings_value_set(setting, field, setting->fallback, false, error, error_size) < 0)
            return -1;
    }
    return 0;
}

/* The section that was being read is whole. */
static int end_section(struct file *file, char *error, size_t error_size)
{
    if (!file->in_section)
        return 0;
    file->in_section = false;
    if (give_defaults(file, error, error_size) < 0)
        return -1;
    return service_list_add(file->list, &file->settings, file->section, file->machine, error,
                            error_size);
}

static int on_section(void *user, const char *name, int line, char *error, size_t error_size)
{
    struct file *file = user;
    char sentence[200] = "";

    if (end_section(file, sentence, sizeof sentence) < 0) {
        snprintf(error, error_size, "section [%s]: %s", file->section, sentence);
        return -1;
    }
    if (!*name) {
        snprintf(error, error_size, "a section is named after its service");
        return -1;
    }
    if (service_check_name(name, error, error_size) < 0)
        return -1;
    snprintf(file->section, sizeof file->section, "%s", name);
    file->section_line = line;
    file->in_section = true;
    file->seen = 0;
    return 0;
}

static int on_pair(void *user, const char *name, const char *value, int line, char *error,
                   size_t error_size)
{
    struct file *file = user;
    const struct setting *setting = settings_find(&service_table, name, strlen(name));
    char sentence[200] = "";

    if (!file->in_section) {
        snprintf(error, error_size, "%.80s stands before the first [section]", name);
        return -1;
    }
    if (!setting) {
        const char *nearest = settings_nearest(&service_table, name, strlen(name));
        snprintf(error, error_size, "unknown setting \"%.80s\"%s%s%s", name,
                 nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
        return -1;
    }
    uint32_t bit = 1u << (setting - service_table.settings);
    if (file->seen & bit) {
        snprintf(error, error_size, "%s is set twice", name);
        return -1;
    }
    file->seen |= bit;
    if (settings_value_set(setting, (unsigned char *)&file->settings + setting->offset, value,
                           false, sentence, sizeof sentence) == 0)
        return 0;
    snprintf(error, error_size, "%s: %s", name, sentence);
    return -1;
}

int service_list_parse(struct service_list *list, const char *text, size_t length,
                       const char *file_name, const char *machine, char *error, size_t error_size)
{
    struct file file = {.list = list, .file_name = file_name, .machine = machine};
    char sentence[200] = "";

    int result = settings_parse_sections(text, length, file_name, on_section, on_pair, &file, error,
                                         error_size);
    if (result == 0 && end_section(&file, sentence, sizeof sentence) < 0) {
        snprintf(error, error_size, "%s:%d: section [%s]: %s", file_name, file.section_line,
                 file.section, sentence);
        result = -1;
    }
    settings_free(&service_table, &file.settings);
    return result;
}
