/* A visitor's bytes, torn at places that the first byte chooses. What comes out towards the service
 * is fed to a second visit, which must read from it the same requests and bodies: nothing that we
 * pass on may be refused, or understood in another way. */
#include <stdint.h>
#include <stdlib.h>

#include "../tests/unit/http_rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was read: of each request its method, target and whether it came whole, and all bodies. */
struct reading {
    int requests, wholes;
    uint64_t bytes;
    struct rig_bytes starts, passed;
    bool is_refused;
};

static struct reading *current;

static void note_request(struct rig *rig, const struct http_request *request)
{
    current->requests++;
    rig_append(&current->starts, request->method, strlen(request->method));
    rig_append(&current->starts, request->path, strlen(request->path) + 1);
    http_visit_forward(rig->visit, &rig->forward);
}

/* Until all requests that came whole are answered; a last one that didn't is left open. */
static void answer_all(struct rig *rig)
{
    static const char nothing[] = "HTTP/1.1 204 No Content\r\n\r\n";
    while (http_visit_state(rig->visit) == HTTP_VISIT_EXCHANGE) {
        rig_feed(rig, true, nothing, sizeof nothing - 1, RIG_WHOLE);
        current->bytes += rig->bytes_in;
        current->wholes += rig->is_whole;
    }
}

static void read_all(const char *bytes, size_t length, unsigned tearing, struct reading *reading)
{
    struct rig rig = {
        .on_request = note_request, .forward.host_header = "a", .options.cdn_id = "here"};
    current = reading;
    rig_open(&rig);
    rig_feed(&rig, false, bytes, length, tearing);
    answer_all(&rig);
    reading->is_refused = rig.dones && rig.is_own;
    reading->passed = rig.service;
    rig.service = (struct rig_bytes){0};
    rig_close(&rig);
}

static void forget(struct reading *reading)
{
    free(reading->starts.at);
    free(reading->passed.at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    struct reading first = {0}, torn = {0}, second = {0};
    read_all((const char *)data + 1, size - 1, RIG_WHOLE, &first);
    read_all((const char *)data + 1, size - 1, 1 + data[0], &torn);
    if (first.requests != torn.requests || first.is_refused != torn.is_refused ||
        first.wholes != torn.wholes || first.starts.length != torn.starts.length)
        abort();
    /* What was refused half-way is cut off before it goes out. */
    if (!first.is_refused) {
        struct rig_bytes one = rig_normalize(&first.passed), other = rig_normalize(&torn.passed);
        if (one.length != other.length || memcmp(one.at, other.at, one.length) != 0)
            abort();
        free(one.at);
        free(other.at);
    }
    read_all(first.passed.at, first.passed.length, RIG_WHOLE, &second);
    if (second.is_refused)
        abort();
    if (!first.is_refused &&
        (second.requests != first.requests || second.bytes != first.bytes ||
         second.wholes != first.wholes || second.starts.length != first.starts.length ||
         (first.starts.length &&
          memcmp(second.starts.at, first.starts.at, first.starts.length) != 0)))
        abort();
    forget(&first);
    forget(&torn);
    forget(&second);
    return 0;
}
