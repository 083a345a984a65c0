/* ClientHellos, and beginnings of them: a decision is taken once, and more bytes never change it.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "edge/hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hello whole, piece;
    enum hello_result result = hello_parse(data, size, &whole);
    for (size_t cut = 0; cut < size; cut += 1 + size / 16) {
        enum hello_result early = hello_parse(data, cut, &piece);
        /* What was decided stays so, however much comes after it. */
        if (early != HELLO_MORE && early != result)
            abort();
        if (early == HELLO_FOUND && memcmp(&piece, &whole, sizeof piece) != 0)
            abort();
    }
    if (result == HELLO_FOUND && memchr(whole.name, 0, sizeof whole.name) == NULL)
        abort();
    return 0;
}
