/* Requests for files of a shared folder: the path asked for never leads out, and a part asked for
 * lies in the file. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/files_condition.h"
#include "agent/files_request.h"
#include "edge/http_rules.h"
#include "edge/http_scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_path(const char *path)
{
    for (const char *part = path; *part;) {
        size_t length = strcspn(part, "/");
        if (length == 0 || *part == '.')
            abort();
        part += length;
        if (*part == '/' && !*++part)
            abort();
    }
}

static void check_part(const struct http_head *head, bool is_head)
{
    struct files_version version = {.size = 1000, .modified = 784111777, .tag = "\"abc\""};
    uint64_t first = 0, last = 0;
    if (files_condition_judge(head, is_head, &version, &first, &last) == 206 &&
        (first > last || last >= version.size))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct http_head head;
    static struct files_request request;
    struct http_scan scan;
    size_t taken;
    http_scan_init(&scan, HTTP_SCAN_REQUEST);
    if (http_scan_feed(&scan, (const char *)data, size, &taken) != HTTP_SCANNED_WHOLE)
        return 0;
    size_t skip = data[0] == '\r' ? 2 : 0;
    if (http_head_parse_request((const char *)data + skip, taken - skip, &head) != 0 ||
        http_rules_request(&head) != 0)
        return 0;
    if (files_request_read(&head, false, &request) != 0)
        return 0;
    check_path(request.path);
    check_part(&head, request.is_head);
    return 0;
}
