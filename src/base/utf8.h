/* What is fit to be shown: well-formed UTF-8 without control characters. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Length of the well-formed UTF-8 sequence at text (NUL-terminated), 0 when it is none. Overlong
 * forms, surrogates and what is beyond U+10FFFF aren't well-formed (RFC 3629 section 4). */
size_t utf8_length(const char *text);
/* Of a sequence of that length. U+0080 to U+009F are controls, too: terminals obey them. */
bool utf8_is_control(const char *text, size_t length);
/* Is all of the text (NUL-terminated) well-formed, and without control characters? */
bool utf8_is_clean(const char *text);
