/* Identifiers that people and other programs are given: random UUIDs (version 4, RFC 9562 section
 * 5.4), in lower case. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define UUID_SIZE 37 /* with NUL */

/* random fills with random bytes: 0 or -1 (net/pki.h, pki_random). 0, or -1 when there are none. */
int uuid_make(int (*random)(void *bytes, size_t size), char ret_uuid[UUID_SIZE])
    __attribute__((warn_unused_result));
/* Has the text the form of one, of any version, in lower case? */
bool uuid_is_valid(const char *text);
