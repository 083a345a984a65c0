/* The engine as a server, against any device. */
#include "engine_host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    engine_fuzz(PLEX_SERVER, data, size);
    return 0;
}
