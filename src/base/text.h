/* Small questions about texts that several rooms ask. */
#pragma once

#include <stdbool.h>
#include <string.h>

/* Do they say the same? NULL, which means that there is none, is like nothing but NULL. */
static inline bool text_equal(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

/* The value of a hexadecimal digit, or -1. */
static inline int text_hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}
