/* Made-up names: an adjective, a noun and four digits, "shy-bush-6765". Some 400 million of them:
 * one can't be guessed from another, and few meet one that is taken. */
#pragma once

#include <stddef.h>

#define NAMES_SIZE 32 /* with NUL; the lists keep to it */

/* Fills with random bytes; 0 or -1. */
typedef int names_random(void *bytes, size_t size);

/* 0, or -1 when there are no random bytes. */
int names_make(names_random *random, char ret_name[NAMES_SIZE]) __attribute__((warn_unused_result));
