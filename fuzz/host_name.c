/* Host names as agents ask for them: what is one is one again when it is read a second time, and is
 * within its bounds. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "registry/host_name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char name[REGISTRY_HOST_MAX + 1], again[REGISTRY_HOST_MAX + 1], label[64];
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = 0;
    size_t folded = host_name_fold(text, size, name);
    assert(folded <= REGISTRY_HOST_MAX && (!folded || folded + 1 >= size));
    if (host_name_parse_label(text, label) == 0) {
        assert(strlen(label) <= 63 && !strchr(label, '.'));
        assert(host_name_parse_label(label, again) == 0 && strcmp(label, again) == 0);
    }
    if (host_name_parse(text, name) == 0) {
        size_t length = strlen(name);
        assert(strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-.") == length);
        assert(host_name_parse(name, again) == 0 && strcmp(name, again) == 0);
        assert(host_name_fold(text, strlen(text), again) == length && strcmp(name, again) == 0);
        assert(host_name_matches(name, name) && !host_name_is_below(name, name));
    }
    free(text);
    return 0;
}
