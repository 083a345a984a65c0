/* What is done with secrets: scrypt for passwords (RFC 7914), HMAC-SHA256, base64 (RFC 4648). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* "$scrypt$ln=15,r=8,p=1$SALT$HASH", base64 without padding. 32 MiB and some 60 ms a hash. */
#define SECRET_HASH_MAX     128
#define SECRET_PASSWORD_MAX 1024

/* A hash with a fresh salt. 0, or -1 (no memory, no random bytes, a password of more than
 * SECRET_PASSWORD_MAX bytes). Takes long: on a thread. */
int secret_hash_password(const char *password, char ret_hash[SECRET_HASH_MAX])
    __attribute__((warn_unused_result));
/* Constant-time in what is compared. False, too, for a hash that can't be read or that asks for
 * more than 256 MiB. Takes long. */
bool secret_verify_password(const char *password, const char *hash);

struct secret_scrypt {
    unsigned log_n; /* 1...30: N is 2 to the power of it */
    unsigned r, p;  /* 1...255 */
};
/* The bare function of RFC 7914. 0, or -1 (parameters that can't be, no memory). Takes long. */
int secret_scrypt(const struct secret_scrypt *cost, const void *password, size_t password_size,
                  const void *salt, size_t salt_size, void *ret_key, size_t key_size)
    __attribute__((warn_unused_result));

/* 0, or -1 without memory: to be checked, or a digest that was never written would be compared. */
int secret_hmac(const void *key, size_t key_size, const void *bytes, size_t size,
                unsigned char ret_digest[32]) __attribute__((warn_unused_result));

/* Without padding. Room for (size * 4 + 2) / 3 + 1; returns the length. */
size_t secret_base64url(const void *bytes, size_t size, char *buffer);
/* The number of bytes, or -1: not base64url as the function above writes it (padding, white space
 * and bits that are left over count as faults), or more than capacity. The buffer may have been
 * written to, then. */
long secret_from_base64url(const char *text, size_t length, void *buffer, size_t capacity);
/* Standard base64 with padding. Room for (size + 2) / 3 * 4 + 1; returns the length. */
size_t secret_base64(const void *bytes, size_t size, char *buffer);
/* The way back, as strict, for basic auth (RFC 7617). As secret_from_base64url(). */
long secret_from_base64(const char *text, size_t length, void *buffer, size_t capacity);
