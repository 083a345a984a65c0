/* Requests to the API: read whole, and torn at places that the first byte chooses, they must be the
 * same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/api_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was read, in few words. */
struct reading {
    unsigned requests, continues, status;
    uint64_t sum;
};

static void add(struct reading *reading, const void *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        reading->sum = reading->sum * 1099511628211u ^ ((const unsigned char *)bytes)[i];
    reading->sum = reading->sum * 1099511628211u ^ length;
}

static void add_request(struct reading *reading, const struct api_reader *reader)
{
    const struct api_request *request = &reader->request;
    const char *const texts[] = {request->method, request->path,         request->query,
                                 request->token,  request->content_type, request->if_none_match};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        add(reading, texts[i], strlen(texts[i]));
    add(reading, request->body, request->body_length);
    if (request->body[request->body_length] || request->body_length > API_BODY_MAX)
        abort();
    reading->requests++;
}

static struct reading read_all(const char *bytes, size_t length, size_t piece)
{
    struct reading reading = {0};
    struct api_reader reader;
    api_reader_init(&reader);
    for (size_t at = 0, end = 0; end < length || at < end;) {
        size_t taken;
        if (at == end)
            end = length - end < piece ? length : end + piece;
        enum api_read result = api_reader_feed(&reader, bytes + at, end - at, &taken);
        if (taken > end - at)
            abort();
        at += taken;
        reading.continues += result == API_READ_CONTINUE;
        if (result == API_READ_WHOLE) {
            add_request(&reading, &reader);
            api_reader_next(&reader);
        }
        if (result == API_READ_REFUSED) {
            reading.status = (unsigned)reader.status;
            break;
        }
        if (result == API_READ_MORE && at < end)
            abort(); /* nobody would go on */
    }
    api_reader_deinit(&reader);
    return reading;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const char *bytes = (const char *)data + 1;
    struct reading whole = read_all(bytes, size - 1, size - 1);
    struct reading torn = read_all(bytes, size - 1, data[0] ? data[0] : 1);
    if (whole.requests != torn.requests || whole.continues != torn.continues ||
        whole.status != torn.status || whole.sum != torn.sum)
        abort();
    return 0;
}
