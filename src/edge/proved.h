/* Credentials that were proved right a short while ago, so that their password needn't be hashed
 * for each request. Kept are digests under a random key; one worker's own. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "edge/credentials.h"
#include "registry/registry.h"

#define PROVED_SIZE 32

struct proved;

/* 0 or a negative errno. */
int proved_new(struct proved **ret_proved) __attribute__((warn_unused_result));
void proved_free(struct proved *proved); /* NULL is fine */
/* Of the credentials at this socket as it is protected now: with another name or password set, it
 * is another. 0, or -1 without memory. */
int proved_digest(const struct proved *proved, const struct socket_facts *facts,
                  const struct credentials *credentials, unsigned char ret_digest[PROVED_SIZE])
    __attribute__((warn_unused_result));
/* now: microseconds. */
bool proved_has(const struct proved *proved, const unsigned char digest[PROVED_SIZE], uint64_t now);
void proved_add(struct proved *proved, const unsigned char digest[PROVED_SIZE], uint64_t now);
