/* A service's bytes, in answer to a request that the first byte chooses, torn as the second says.
 * What the visitor gets is fed to a second visit as the answer to the same request, which must read
 * the same status and body from it. */
#include <stdint.h>
#include <stdlib.h>

#include "../tests/unit/http_rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const requests[] = {
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.0\r\n\r\n",
    "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket, x/1\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
};

static void read_answer(const char *request, const char *bytes, size_t length, unsigned tearing,
                        struct rig *rig)
{
    rig_open(rig);
    rig_visitor_says(rig, request, RIG_WHOLE);
    rig_feed(rig, true, bytes, length, tearing);
    http_visit_service_ended(rig->visit);
    http_visit_visitor_ended(rig->visit);
    if (http_visit_state(rig->visit) != HTTP_VISIT_CLOSING)
        abort();
}

static void check_same(const struct rig *one, const struct rig *other, bool by_bytes)
{
    if (one->status != other->status || one->bytes_out != other->bytes_out ||
        one->is_whole != other->is_whole || one->dones != 1 || other->dones != 1)
        abort();
    struct rig_bytes a = rig_normalize(&one->visitor), b = rig_normalize(&other->visitor);
    if (by_bytes && (a.length != b.length || memcmp(a.at, b.at, a.length) != 0))
        abort();
    free(a.at);
    free(b.at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const char *request = requests[data[0] % (sizeof requests / sizeof *requests)];
    const char *bytes = (const char *)data + 2;
    struct rig whole = {0}, torn = {0}, again = {0};
    read_answer(request, bytes, size - 2, RIG_WHOLE, &whole);
    read_answer(request, bytes, size - 2, 1 + data[1], &torn);
    /* How a body until the end is torn shows where it isn't chunked; HEAD's framing has none. */
    check_same(&whole, &torn, data[0] % 6 != 1);
    /* Of a broken answer the visitor is cut off, which bytes alone don't tell. */
    if (!whole.is_own && !http_visit_is_broken(whole.visit)) {
        read_answer(request, whole.visitor.at, whole.visitor.length, RIG_WHOLE, &again);
        check_same(&whole, &again, false);
        rig_close(&again);
    }
    rig_close(&whole);
    rig_close(&torn);
    return 0;
}
