/* Mails of any recipient, sender, subject and text (between NULs): what is written has the lines
 * that it ought to have, and no others. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/mail_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const char *text, size_t length)
{
    static const char *const names[] = {
        "Date: ",         "From: ",         "To: ",           "Message-ID: ",    "Subject: ",
        "MIME-Version: ", "Content-Type: ", "Content-Transf", "Auto-Submitted: "};
    const size_t count = sizeof names / sizeof names[0];
    size_t field = 0;
    if (strlen(text) != length)
        abort();
    const char *line = text;
    for (; strncmp(line, "\r\n", 2) != 0; line += strcspn(line, "\r\n") + 2) {
        size_t end = strcspn(line, "\r\n");
        if (strncmp(line + end, "\r\n", 2) != 0 || end > 998)
            abort();
        if (*line == ' ')
            continue;
        if (field == count || strncmp(line, names[field], strlen(names[field])) != 0)
            abort();
        field++;
    }
    if (field != count)
        abort();
    for (line += 2; *line; line += strcspn(line, "\r\n") + 2)
        if (line[0] == '.' || strcspn(line, "\r\n") > 76)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *parts[4], *bytes = malloc(size + 4);
    struct mail_address from;
    size_t used = 0;
    if (!bytes)
        return 0;
    memcpy(bytes, data, size);
    memset(bytes + size, 0, 4);
    for (int i = 0; i < 4; i++) {
        parts[i] = bytes + used;
        used += strlen(parts[i]) + (used + strlen(parts[i]) < size + 3);
    }
    if (mail_address_parse(parts[1], &from) == 0) {
        struct mail_text mail = {.from = &from,
                                 .to = parts[0],
                                 .subject = parts[2],
                                 .text = parts[3],
                                 .time = 1700000000,
                                 .unique_id = "0123abcd"};
        char *text;
        size_t length;
        if (mail_text_write(&mail, &text, &length) == 0) {
            check(text, length);
            free(text);
        }
    }
    free(bytes);
    return 0;
}
