/* What a context has for conn_tls.c. */
#pragma once

#include <openssl/ssl.h>

#include "net/tls.h"

SSL_CTX *tls_context_ssl(struct tls_context *context);
bool tls_context_caches_sessions(const struct tls_context *context);
/* A session to resume, or NULL; still the cache's. */
SSL_SESSION *tls_context_find_session(struct tls_context *context, const char *key);

/* The key under which a client's new sessions are kept; conn_tls.c knows. NULL: not to be kept. */
const char *conn_tls_session_key(const SSL *ssl);
