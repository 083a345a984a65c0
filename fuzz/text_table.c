/* Cells of a table, of other people's making: nothing that a terminal obeys gets through. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text_table.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    memcpy(text, data, size);
    text[size] = '\0';
    char *escaped = text_table_escape(text);
    for (const char *at = escaped; *at;) {
        size_t length = utf8_length(at);
        assert(length && !utf8_is_control(at, length));
        at += length;
    }
    char *again = text_table_escape(escaped);
    assert(strcmp(escaped, again) == 0);
    assert(text_table_width(escaped) <= 2 * strlen(escaped));
    free(again);
    free(escaped);
    free(text);
    return 0;
}
