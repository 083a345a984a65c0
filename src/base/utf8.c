#include "base/utf8.h"

static bool is_tail(unsigned char byte)
{
    return (byte & 0xc0) == 0x80;
}

size_t utf8_length(const char *bytes)
{
    const unsigned char *text = (const unsigned char *)bytes;
    if (text[0] < 0x80)
        return 1;
    if (text[0] >= 0xc2 && text[0] <= 0xdf)
        return is_tail(text[1]) ? 2 : 0;
    if (text[0] >= 0xe0 && text[0] <= 0xef) {
        if ((text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xed && text[1] > 0x9f))
            return 0;
        return is_tail(text[1]) && is_tail(text[2]) ? 3 : 0;
    }
    if (text[0] >= 0xf0 && text[0] <= 0xf4) {
        if ((text[0] == 0xf0 && text[1] < 0x90) || (text[0] == 0xf4 && text[1] > 0x8f))
            return 0;
        return is_tail(text[1]) && is_tail(text[2]) && is_tail(text[3]) ? 4 : 0;
    }
    return 0;
}

bool utf8_is_control(const char *bytes, size_t length)
{
    const unsigned char *text = (const unsigned char *)bytes;
    return (length == 1 && (text[0] < 0x20 || text[0] == 0x7f)) ||
           (length == 2 && text[0] == 0xc2 && text[1] < 0xa0);
}

bool utf8_is_clean(const char *text)
{
    for (size_t length; *text; text += length) {
        length = utf8_length(text);
        if (!length || utf8_is_control(text, length))
            return false;
    }
    return true;
}
