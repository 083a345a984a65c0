/* PROXY headers, and beginnings of them: a decision is taken once, and what was found is found
 * again in what we write of it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "edge/proxy_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_and_read(enum proxy_version version, const union address *source,
                           const union address *target)
{
    uint8_t header[PROXY_HEADER_MAX];
    union address plain = address_unmap(source), mapped, other;
    size_t length = proxy_header_write(version, source, target, header), size;
    if (proxy_header_parse(header, length, &size, &mapped, &other) != PROXY_FOUND || size != length)
        abort();
    mapped = address_unmap(&mapped);
    if (source->any.sa_family ? !address_equal(&plain, &mapped) : mapped.any.sa_family != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t whole_size = 0, early_size = 0;
    union address source, target, early_source, early_target;
    enum proxy_result whole = proxy_header_parse(data, size, &whole_size, &source, &target);
    for (size_t cut = 0; cut < size; cut++) {
        enum proxy_result early =
            proxy_header_parse(data, cut, &early_size, &early_source, &early_target);
        if (early != PROXY_MORE && early != whole)
            abort();
        if (early == PROXY_FOUND && early_size != whole_size)
            abort();
    }
    if (whole == PROXY_MORE && size >= PROXY_HEADER_MAX)
        abort();
    if (whole != PROXY_FOUND)
        return 0;
    if (whole_size > size || whole_size > PROXY_HEADER_MAX)
        abort();
    write_and_read(PROXY_V1, &source, &target);
    write_and_read(PROXY_V2, &source, &target);
    return 0;
}
