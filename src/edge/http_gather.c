#include "edge/http_gather.h"

#include <stdlib.h>
#include <string.h>

/* Room for the head of most requests. */
#define FIRST_CAPACITY 1024

void http_gather_init(struct http_gather *gather, enum http_scan_kind kind)
{
    *gather = (struct http_gather){0};
    http_scan_init(&gather->scan, kind);
}

static int append(struct http_gather *gather, const char *bytes, size_t length)
{
    size_t need = gather->length + length;
    if (need > gather->capacity) {
        size_t capacity = gather->capacity ? gather->capacity : FIRST_CAPACITY;
        while (capacity < need)
            capacity *= 2;
        char *grown = realloc(gather->bytes, capacity);
        if (!grown)
            return -1;
        gather->bytes = grown;
        gather->capacity = (uint32_t)capacity;
    }
    if (length)
        memcpy(gather->bytes + gather->length, bytes, length);
    gather->length = (uint32_t)need;
    return 0;
}

enum http_gathered http_gather_feed(struct http_gather *gather, const char *bytes, size_t length,
                                    size_t max, size_t *ret_taken, const char **ret_whole,
                                    size_t *ret_length)
{
    size_t room = max - gather->length, taken = 0;
    enum http_scanned scanned =
        http_scan_feed(&gather->scan, bytes, length < room ? length : room, &taken);
    if (scanned == HTTP_SCANNED_BAD)
        return HTTP_GATHERED_BAD;
    if (scanned == HTTP_SCANNED_MORE && gather->length + taken == max)
        return HTTP_GATHERED_TOO_LONG;
    const char *whole = bytes;
    size_t whole_length = taken;
    if (scanned == HTTP_SCANNED_MORE || gather->length) {
        if (append(gather, bytes, taken) < 0)
            return HTTP_GATHERED_NO_MEMORY;
        whole = gather->bytes;
        whole_length = gather->length;
    }
    *ret_taken = taken;
    if (scanned == HTTP_SCANNED_MORE)
        return HTTP_GATHERED_MORE;
    size_t skip = gather->scan.kind == HTTP_SCAN_REQUEST && whole[0] == '\r' ? 2 : 0;
    *ret_whole = whole + skip;
    *ret_length = whole_length - skip;
    return HTTP_GATHERED_WHOLE;
}

void http_gather_deinit(struct http_gather *gather)
{
    free(gather->bytes);
    gather->bytes = NULL;
    gather->length = gather->capacity = 0;
}
