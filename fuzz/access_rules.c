/* The rules of access of a socket: lists of prefixes as people write them, and the text in the
 * store. What is read is written, and reads the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "control/access_json.h"

static void try_prefixes(const char *text)
{
    struct prefix *prefixes, *again;
    size_t count, again_count;
    char error[64];
    if (socket_access_parse_prefixes(text, &prefixes, &count, error, sizeof error) < 0)
        return;
    char *written = socket_access_format_prefixes(prefixes, count);
    if (!written ||
        socket_access_parse_prefixes(written, &again, &again_count, error, sizeof error) < 0 ||
        count != again_count || (count && memcmp(prefixes, again, count * sizeof *prefixes) != 0))
        abort();
    free(written);
    free(prefixes);
    free(again);
}

static void try_json(const char *text)
{
    struct socket_access *access, *again;
    if (access_json_parse(text, &access) < 0)
        return;
    char *written = access_json_format(access);
    if (!written || access_json_parse(written, &again) < 0)
        abort();
    char *twice = access_json_format(again);
    if (!twice || strcmp(written, twice) != 0)
        abort();
    free(written);
    free(twice);
    socket_access_free(access);
    socket_access_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    if (size)
        memcpy(text, data, size);
    text[size] = 0;
    try_prefixes(text);
    try_json(text);
    free(text);
    return 0;
}
