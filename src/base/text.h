/* Small things about texts that several rooms need. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
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

#define TEXT_DIGITS_MAX 20

/* Writes a number's digits, at least `least` of them (1...TEXT_DIGITS_MAX), with zeroes before the
 * number. Returns how many; there is no NUL. For where printf would be too slow. */
static inline size_t text_put_number(uint64_t number, unsigned least, char buffer[TEXT_DIGITS_MAX])
{
    size_t count = 1;
    for (uint64_t rest = number; rest >= 10 || count < least; rest /= 10)
        count++;
    for (size_t i = count; i--; number /= 10)
        buffer[i] = (char)('0' + number % 10);
    return count;
}
