/* What is done with secrets: scrypt for passwords (RFC 7914), HMAC-SHA256, base64url. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* "$scrypt$ln=15,r=8,p=1$SALT$HASH", base64 without padding. 32 MiB and some 60 ms a hash. */
#define SECRET_HASH_MAX     128
#define SECRET_PASSWORD_MAX 1024

/* A hash with a fresh salt. 0, or -1 (no memory, no random bytes). Takes long: on a thread. */
int secret_hash_password(const char *password, char ret_hash[SECRET_HASH_MAX])
    __attribute__((warn_unused_result));
/* Constant-time in what is compared. False, too, for a hash that can't be read. Takes long. */
bool secret_verify_password(const char *password, const char *hash);

void secret_hmac(const void *key, size_t key_size, const void *bytes, size_t size,
                 unsigned char ret_digest[32]);

/* Without padding. Room for (size * 4 + 2) / 3 + 1; returns the length. */
size_t secret_base64url(const void *bytes, size_t size, char *buffer);
/* The number of bytes, or -1: not base64url, or more than capacity. */
long secret_from_base64url(const char *text, size_t length, void *buffer, size_t capacity);
/* Standard base64 with padding, for basic auth (RFC 7617). As above. */
long secret_from_base64(const char *text, size_t length, void *buffer, size_t capacity);
