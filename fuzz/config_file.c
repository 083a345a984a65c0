/* The configuration file of `streamplex serve`: lines, names and values as they are read from any
 * bytes, and what the values say: addresses and rules. No file is opened. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/settings_value.h"
#include "server/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int on_pair(void *user, const char *name, const char *value, int line, char *error,
                   size_t error_size)
{
    const struct setting *setting = settings_find(&serve_table, name, strlen(name));
    assert(line > 0);
    assert(strlen(name) <= SETTINGS_LINE_MAX && strlen(value) <= SETTINGS_LINE_MAX);
    if (!setting) {
        settings_nearest(&serve_table, name, strlen(name));
        return 0;
    }
    /* Both ways of reading a list: as a file's, and as one item. What fails must not stop the rest.
     */
    for (int whole = 0; whole < 2; whole++)
        if (settings_value_set(setting, (unsigned char *)user + setting->offset, value, whole,
                               error, error_size) < 0)
            assert(strlen(error) > 0 && strlen(error) < error_size);
    return 0;
}

static void parse_addresses(const struct setting_list *list)
{
    union address address;
    char text[ADDRESS_TEXT_MAX];
    for (size_t i = 0; i < list->count; i++)
        if (address_parse(list->items[i], &address) == 0)
            assert(strlen(address_format(&address, text)) < sizeof text);
}

static void parse_rules(const struct setting_list *list)
{
    struct egress_rules rules = {0};
    char error[256];
    for (size_t i = 0; i < list->count; i++)
        if (egress_add_deny(&rules, list->items[i], error, sizeof error) < 0)
            assert(strlen(error) > 0);
    egress_deinit(&rules);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct serve_settings settings = {0};
    struct serve_settings same = {0};
    char error[512] = "";
    if (settings_parse_ini((const char *)data, size, "fuzz.ini", "serve", on_pair, &settings, error,
                           sizeof error) < 0)
        assert(strncmp(error, "fuzz.ini:", 9) == 0);
    parse_addresses(&settings.listen);
    parse_addresses(&settings.listen_old);
    parse_rules(&settings.egress_allow);
    parse_rules(&settings.egress_deny);
    settings_find_fixed_change(&serve_table, &settings, &same);
    settings_free(&serve_table, &settings);
    return 0;
}
