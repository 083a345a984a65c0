/* A services file of `streamplex connect`, from any bytes. No file is opened. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "agent/announce.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct service_list list = {0};
    char error[512] = "", message[8192];

    if (service_list_parse(&list, (const char *)data, size, "fuzz.ini", "box", error,
                           sizeof error) < 0)
        assert(strncmp(error, "fuzz.ini:", 9) == 0);
    assert(list.count <= SERVICES_MAX);
    for (size_t i = 0; i < list.count; i++) {
        const struct service *service = &list.items[i];
        assert(service_list_find(&list, service->name) == service);
        /* What was taken can be said in JSON. */
        assert(announce_register(service, "i", message, sizeof message) > 0);
    }
    service_list_deinit(&list);
    return 0;
}
