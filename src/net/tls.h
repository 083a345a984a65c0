/* TLS contexts: one SSL_CTX per worker and purpose, made from a description, counted by reference.
 *
 * Renegotiation and 0-RTT are off, SSL_MODE_RELEASE_BUFFERS on. Server contexts of all workers
 * share ticket keys, so that a session is resumed on any worker and after a reload.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tls_context;
struct tls_certificates;

/* Certificates with their keys, of which a server takes one by the name that the client asks for
 * (SNI): an exact name before a wildcard; the first when none fits or none is asked for. Immutable,
 * counted by reference, shared by all threads. */
struct tls_certificate_file {
    const char *certificate_file, *key_file, *key_passphrase;
    bool is_spare; /* for the names only that no other of them is for, a folder's among them */
};
int tls_certificates_new(const struct tls_certificate_file *files, size_t count,
                         struct tls_certificates **ret_certificates, char *error, size_t error_size)
    __attribute__((warn_unused_result));
/* The same, and after `files` every pair of a folder: NAME.pem or NAME.crt with NAME.key, or
 * NAME/fullchain.pem with NAME/privkey.pem (certbot's "live"). One that can't be used is left out
 * with a warning in the log; it is an error when all of the folder's are, and there is no other but
 * a spare one, and without any at all. folder NULL: none. */
int tls_certificates_load(const struct tls_certificate_file *files, size_t count,
                          const char *folder, struct tls_certificates **ret_certificates,
                          char *error, size_t error_size) __attribute__((warn_unused_result));
struct tls_certificates *tls_certificates_ref(struct tls_certificates *certificates);
void tls_certificates_unref(struct tls_certificates *certificates); /* NULL is fine */

/* CAs whose certificates a server wants to see (conn_require_certificate()). Immutable, counted by
 * reference. pem: one certificate or more; each is trusted as it stands, self-signed or not. 0, or
 * -1 with a sentence. */
struct tls_authority;
int tls_authority_new(const char *pem, struct tls_authority **ret_authority, char *error,
                      size_t error_size) __attribute__((warn_unused_result));
struct tls_authority *tls_authority_ref(struct tls_authority *authority);
void tls_authority_unref(struct tls_authority *authority); /* NULL is fine */

struct tls_server_options {
    const char *certificate_file; /* PEM chain, leaf first */
    const char *key_file;         /* PEM */
    const char
        *key_passphrase; /* or NULL; an encrypted key without one is an error, never a prompt */
    struct tls_certificates *certificates; /* instead of the three above; kept by reference */
    /* Protocols to agree on, the preferred first, "streamplex/1" or "http/1.1,http/1.0"; a client
     * that offers none of them goes on without. NULL: none. */
    const char *alpn;
    const char *session_id_context; /* sessions are resumed within one; NULL: "streamplex" */
    bool old; /* TLS 1.0, security level 0, RSA key exchange and CBC: for the boards of 2014 */
};

struct tls_client_options {
    const char *ca_file; /* PEM trusted instead of the system's; NULL: the system's,
                            SSL_CERT_FILE/_DIR honoured */
    const char *ca_pem;  /* the same as PEM text, for PROXY_CERT; NULL: none */
    /* What is shown to a server that asks for a certificate: PEM chain and key; NULL: nothing. */
    const char *certificate_file, *key_file;
    const char *pin_sha256; /* 64 hex digits: the server's certificate or its public key (SPKI) has
                               this SHA-256; then neither chain nor name are checked. NULL: none */
    bool insecure;          /* neither chain nor name are checked: --upstream-insecure */
    const char *alpn;       /* offered, as above; NULL: none */
    bool cache_sessions; /* resume sessions by the session_key of conn_start_tls_client() (bounded
                            cache) */
};

/* 0, or -1 with a sentence for the operator in `error` (which file, what is wrong: unreadable, no
 * PEM, key doesn't match, passphrase wrong). *ret_context has one reference. */
int tls_server_new(const struct tls_server_options *options, struct tls_context **ret_context,
                   char *error, size_t error_size) __attribute__((warn_unused_result));
int tls_client_new(const struct tls_client_options *options, struct tls_context **ret_context,
                   char *error, size_t error_size) __attribute__((warn_unused_result));
struct tls_context *tls_context_ref(struct tls_context *context);
void tls_context_unref(struct tls_context *context); /* NULL is fine */
/* Name and version of the library that does TLS. Static text. */
const char *tls_library(void);

/* A context may be freed on any thread, but one that caches sessions is used on one loop alone.
 * Ticket keys are the process's: made at first use, renewed every 12 h with the last one still
 * accepted. */
