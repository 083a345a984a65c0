/* What the bench's HTTP visitors get: whole, and torn at a place that the first byte chooses, with
 * the same verdict. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bench/web_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t body[] = "hello";

static enum web_result feed(struct web_answer *answer, const uint8_t *bytes, size_t length,
                            size_t *ret_taken)
{
    enum web_result result = web_answer_feed(answer, bytes, length, ret_taken);
    if (*ret_taken > length || (result == WEB_MORE && *ret_taken != length) ||
        (result == WEB_BAD) != (answer->fault != NULL))
        abort();
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct web_answer whole, torn;
    size_t taken, first, second = 0;
    if (!size)
        return 0;
    const uint8_t *bytes = data + 1;
    size_t length = size - 1, part = length * data[0] / 255;
    web_answer_init(&whole, body, sizeof(body) - 1);
    web_answer_init(&torn, body, sizeof(body) - 1);
    enum web_result at_once = feed(&whole, bytes, length, &taken);
    enum web_result in_two = feed(&torn, bytes, part, &first);
    if (in_two == WEB_MORE)
        in_two = feed(&torn, bytes + part, length - part, &second);
    if (at_once != in_two || (at_once == WEB_DONE && taken != first + second))
        abort();
    return 0;
}
