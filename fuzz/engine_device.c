/* The engine as a device, against any server. */
#include "engine_host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    engine_fuzz(PLEX_DEVICE, data, size);
    return 0;
}
