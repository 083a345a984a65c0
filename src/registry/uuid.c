#include "registry/uuid.h"

#include <stdio.h>
#include <string.h>

int uuid_make(int (*random)(void *bytes, size_t size), char ret_uuid[UUID_SIZE])
{
    unsigned char bytes[16];
    if (random(bytes, sizeof bytes) < 0)
        return -1;
    bytes[6] = (bytes[6] & 0x0f) | 0x40; /* the version */
    bytes[8] = (bytes[8] & 0x3f) | 0x80; /* the variant */
    char *at = ret_uuid;
    for (size_t i = 0; i < sizeof bytes; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *at++ = '-';
        at += sprintf(at, "%02x", bytes[i]);
    }
    return 0;
}

bool uuid_is_valid(const char *text)
{
    if (strlen(text) != UUID_SIZE - 1 || strspn(text, "0123456789abcdef-") != UUID_SIZE - 1)
        return false;
    for (size_t i = 0; i < UUID_SIZE - 1; i++)
        if ((text[i] == '-') != (i == 8 || i == 13 || i == 18 || i == 23))
            return false;
    return true;
}
