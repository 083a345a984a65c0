/* Authorization headers: what is taken is one name and one password, and written again it is the
 * same. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/credentials.h"
#include "net/secret.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct credentials first, second;
    char said[CREDENTIALS_MAX + 2], value[6 + (CREDENTIALS_MAX + 2) / 3 * 4 + 1] = "Basic ";
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = 0;
    if (credentials_parse(text, &first) == 0) {
        int length = snprintf(said, sizeof said, "%s:%s", first.name, first.password);
        if (length < 0 || length > CREDENTIALS_MAX || strchr(first.name, ':'))
            abort();
        secret_base64(said, (size_t)length, value + 6);
        if (credentials_parse(value, &second) < 0 || strcmp(first.name, second.name) != 0 ||
            strcmp(first.password, second.password) != 0)
            abort();
    } else if (first.name[0] || first.password[0]) {
        abort();
    }
    free(text);
    return 0;
}
