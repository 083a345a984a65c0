/* The process's ticket keys: every server context gives out and takes the same tickets. */
#pragma once

#include <openssl/ssl.h>

#include "net/tls.h"

/* Installs the keys in a server's context. 0, or -1 when there is no randomness. */
int tls_ticket_install(SSL_CTX *ssl) __attribute__((warn_unused_result));
/* Makes a new key now; the present one is still taken. Tests use it; else it happens every 12 h. 0
 * or -1. */
int tls_ticket_renew(void) __attribute__((warn_unused_result));
