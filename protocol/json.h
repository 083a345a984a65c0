/* JSON as the wire has it (§3.1): what the engine needs of it besides what streamplex.h gives its
 * host. The same rules hold. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "streamplex.h"

/* Containers within containers, the top object being the first. */
#define PLEX_JSON_DEPTH 8

/* The elements of an array, in turn; NULL after the last, and when value isn't an array. */
const char *plex_json_first(const char *value);
const char *plex_json_next(const char *element);
/* What follows a value: its end. */
const char *plex_json_end(const char *value);

bool plex_json_is_string(const char *value);
/* True for a string equal to text, which has no NUL. */
bool plex_json_equals(const char *value, const char *text);
/* A number without fraction and exponent, from 0 to 2^31-1. */
bool plex_json_integer(const char *value, uint32_t *ret_number);
/* Any number from 0 to 2^31-1, its fraction cut off. */
bool plex_json_number(const char *value, uint32_t *ret_number);

/* True for one or more characters of UTF-8 without NUL. */
bool plex_json_is_text(const char *text, size_t length);
/* Bytes of the UTF-8 character at `at`, 1...4; 0 when none starts there (or NUL does). */
unsigned plex_json_utf8(const char *at, const char *end);
