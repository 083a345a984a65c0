/* `visit` messages: a line of one is printable, and one that is told on is read as a visit again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "edge/visit_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_line(const char *line, size_t length)
{
    if (length >= VISIT_LINE_MAX || strlen(line) != length)
        abort();
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char buffer[VISIT_LINE_MAX];
    struct visit_message *message = visit_message_parse((const char *)data, size);
    if (!message)
        return 0;
    struct visit_record *record = visit_message_record(message);
    record->service_time = size;
    check_line(buffer, visit_record_line(record, buffer));
    check_line(buffer, visit_record_access_line(record, buffer));
    size_t length = visit_record_json(record, buffer);
    if (length == 0 || length >= VISIT_LINE_MAX)
        abort();
    length = visit_record_message(record, buffer);
    if (length == 0 || length > 1000)
        abort();
    struct visit_message *again = visit_message_parse(buffer, length);
    if (!again || visit_message_record(again)->total != record->total)
        abort();
    visit_message_free(again);
    visit_message_free(message);
    return 0;
}
