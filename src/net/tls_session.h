/* A client's sessions to resume: at most SESSIONS_MAX, the least recently used goes first. One
 * loop's. */
#pragma once

#include <openssl/ssl.h>

/* About 2 kB each. */
#define TLS_SESSIONS_MAX 256

struct tls_sessions;

struct tls_sessions *tls_sessions_new(void);           /* NULL without memory */
void tls_sessions_free(struct tls_sessions *sessions); /* NULL is fine */
/* NULL when there is none that may still be resumed; the session stays the cache's. */
SSL_SESSION *tls_sessions_find(struct tls_sessions *sessions, const char *key);
/* Takes the reference over, in the place of the key's last one; key is copied. */
void tls_sessions_keep(struct tls_sessions *sessions, const char *key, SSL_SESSION *session);
