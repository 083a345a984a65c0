/* What a context has for conn_tls.c, and its certificates for it. */
#pragma once

#include <stdio.h>
#include <openssl/ssl.h>

#include "net/tls.h"

SSL_CTX *tls_context_ssl(struct tls_context *context);
bool tls_context_caches_sessions(const struct tls_context *context);
/* A session to resume, or NULL; still the cache's. */
SSL_SESSION *tls_context_find_session(struct tls_context *context, const char *key);
/* One of the context's own protocols (ALPN), as text; "" for any other. Lives as the context. */
const char *tls_context_protocol(const struct tls_context *context, const unsigned char *name,
                                 size_t length);

/* The key under which a client's new sessions are kept; conn_tls.c knows. NULL: not to be kept. */
const char *conn_tls_session_key(const SSL *ssl);

/* tls_error.c */
/* "WHAT FILE: WHY" (file NULL: without it) into `error`; clears OpenSSL's. -1. */
int tls_error_say(char *error, size_t size, const char *what, const char *file, const char *why);
/* OpenSSL's first, in its words. */
const char *tls_error_reason(void);
/* To read; NULL and said why. */
FILE *tls_error_open(const char *what, const char *file, char *error, size_t size);

/* tls_pair.c */
/* Puts a certificate chain and its key into a context of OpenSSL's. 0, or -1 with a sentence. */
int tls_pair_load(SSL_CTX *ssl, const struct tls_certificate_file *files, char *error, size_t size);

/* tls_authority.c */
/* A server's handshake that is about to begin fails without a certificate of theirs. 0 or -1. */
int tls_authority_require(struct tls_authority *authority, SSL *ssl)
    __attribute__((warn_unused_result));

/* tls_certificates.c */
/* Lets a server's context choose among them; they must live as long. */
void tls_certificates_install(struct tls_certificates *certificates, SSL_CTX *ssl);
