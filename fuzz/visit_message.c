/* `visit` messages: a line of one is printable, and one that is told on is read as a visit again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "edge/visit_record.h"
#include "streamplex.h"

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
    struct visit_message message, again;
    if (!plex_json_check((const char *)data, size)) /* as the engine does */
        return 0;
    if (!visit_message_read((const char *)data, &message))
        return 0;
    message.record.service_time = size;
    check_line(buffer, visit_record_line(&message.record, buffer));
    check_line(buffer, visit_record_access_line(&message.record, buffer));
    size_t length = visit_record_json(&message.record, buffer);
    if (length == 0 || length >= VISIT_LINE_MAX)
        abort();
    length = visit_record_message(&message.record, buffer);
    if (length == 0 || length > 1000 || !plex_json_check(buffer, length))
        abort();
    if (!visit_message_read(buffer, &again) || again.record.total != message.record.total)
        abort();
    return 0;
}
