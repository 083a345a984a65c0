/* A local certificate authority for the first run: what a hobbyist needs to have TLS in no time. */
#pragma once

#include <stddef.h>

/* Makes, where they don't exist yet, FOLDER/ca.pem and ca.key (EC P-256, 10 years), and
 * FOLDER/server.pem (chain) and server.key (EC P-256, 397 days, renewed when under 30 days are
 * left) for the names: DNS names and IP literals,
 * "*.name" allowed. Keys are 0600 and written aside, then renamed. 0, or -1 with a sentence in
 * `error`. */
int pki_ensure_server(const char *folder, const char *const *names, size_t name_count, char *error,
                      size_t error_size) __attribute__((warn_unused_result));
/* The same, but ca.pem and ca.key are CA_FOLDER's, and only the server's certificate and key are
 * FOLDER's. */
int pki_ensure_server_of(const char *ca_folder, const char *folder, const char *const *names,
                         size_t name_count, char *error, size_t error_size)
    __attribute__((warn_unused_result));
/* The first with RSA keys of 2048 bits, CA and server, for clients that know neither ECDHE nor
 * ECDSA. */
int pki_ensure_rsa_server(const char *folder, const char *const *names, size_t name_count,
                          char *error, size_t error_size) __attribute__((warn_unused_result));
/* Is the leaf certificate in a PEM file one with an RSA key? False, too, when it can't be read. */
_Bool pki_is_rsa(const char *certificate_file);
/* SHA-256 of the leaf certificate in a PEM file as 64 hex digits and NUL. 0 or -1. */
int pki_fingerprint(const char *certificate_file, char ret_hex[65])
    __attribute__((warn_unused_result));
/* Fills with random bytes from the system. 0 or -1. */
int pki_random(void *bytes, size_t size) __attribute__((warn_unused_result));
/* SHA-256. */
void pki_sha256(const void *bytes, size_t size, unsigned char ret_digest[32]);
/* True when equal, in a time that depends on `size` alone. */
_Bool pki_equal(const void *a, const void *b, size_t size);
