/* Request heads as the admin listener gets them: whole, and torn at a place that the first byte
 * chooses; no verdict on a part may be another than that on the whole. */
#include <stdint.h>
#include <stdlib.h>

#include "server/admin_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    const char *bytes = (const char *)data + 1;
    size_t length = size - 1, part = length * data[0] / 255;
    enum admin_request whole = admin_request_parse(bytes, length);
    enum admin_request early = admin_request_parse(bytes, part);
    if (early != ADMIN_REQUEST_MORE && early != whole)
        abort();
    return 0;
}
