/* JSON as the wire has it (§3.1): a text is checked once, strictly, and then read in place without
 * copying.
 *
 * A value is a pointer to its first character in a text that plex_json_check() accepted; nothing
 * else may be read. Where a value may be missing it is NULL, and every reader takes that as "not of
 * my type". */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Containers within containers, the top object being the first. */
#define PLEX_JSON_DEPTH 8

/* True for exactly one object as RFC 8259 writes it, in UTF-8, without NUL (not as an escape
 * either), lone surrogates or deeper nesting, and with nothing but white space around it. */
bool plex_json_check(const char *text, size_t length);
/* The object of a checked text. */
const char *plex_json_top(const char *text);

/* The values of an object's keys, NULL for those that aren't there. keys are texts with their NUL
 * one after the other, the last followed by an empty one. 0; PLEX_TUNNEL_JSON when one is there
 * twice, as its two readers might choose differently, or when value isn't an object. */
int plex_json_read(const char *value, const char *keys, const char **ret_values);
/* The elements of an array, in turn; NULL after the last, and when value isn't an array. */
const char *plex_json_first(const char *value);
const char *plex_json_next(const char *element);
/* What follows a value: its end. */
const char *plex_json_end(const char *value);

bool plex_json_is_string(const char *value);
/* True for a string equal to text, which has no NUL. */
bool plex_json_equals(const char *value, const char *text);
/* Copies a string with its NUL and returns its whole length, which may be more than fitted (then it
 * is cut at a character's border); -1 when value isn't a string. */
int plex_json_copy(const char *value, char *buffer, size_t capacity);
/* A number without fraction and exponent, from 0 to 2^31-1. */
bool plex_json_integer(const char *value, uint32_t *ret_number);
/* Any number from 0 to 2^31-1, its fraction cut off. */
bool plex_json_number(const char *value, uint32_t *ret_number);

/* True for one or more characters of UTF-8 without NUL. */
bool plex_json_is_text(const char *text, size_t length);
/* Bytes of the UTF-8 character at `at`, 1...4; 0 when none starts there (or NUL does). */
unsigned plex_json_utf8(const char *at, const char *end);
