/* An agent's `register`: whatever it says, what comes of it is short, plain text. */
#include "server/register_message.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
    if (!condition)
        abort();
}

static void check_text(const char *text, size_t capacity, bool given)
{
    size_t length = strnlen(text, capacity);
    must(length < capacity && (length || !given));
    for (size_t i = 0; i < length; i++)
        must((unsigned char)text[i] >= 0x20 && text[i] != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct register_message message;
    const char *fault = NULL;
    memset(&message, 0x7f, sizeof message);
    enum register_result result =
        register_message_parse((const char *)data, size, &message, &fault);
    must((result == REGISTER_BAD) == (fault != NULL));
    if (result != REGISTER_GOOD && result != REGISTER_BAD)
        return 0;
    bool good = result == REGISTER_GOOD;
    check_text(message.service, sizeof message.service, true);
    check_text(message.name, sizeof message.name, good);
    check_text(message.type, sizeof message.type, good);
    check_text(message.instance, sizeof message.instance, good);
    check_text(message.hostname, sizeof message.hostname, false);
    if (good)
        must(!strpbrk(message.host_header, " \r\n\t"));
    return 0;
}
