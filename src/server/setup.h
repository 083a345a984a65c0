/* What a worker works with, made from a configuration: its TLS contexts, from certificates read
 * anew. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "server/worker.h"

/* The certificate to use: the one named, or the local CA's in the state folder, where old boards
 * have one of their own. Both must hold PATH_MAX. */
void setup_certificate(const struct config *config, bool old, char *certificate, char *key,
                       size_t size);
/* For `count` workers: certificates are read once. old: there is a listener for old boards, and
 * tls_old is to be made. 0, or -1 with a sentence in `error`, and then there is none. Each setup
 * holds a reference to config. */
int setup_make(struct config *config, bool old, struct worker_setup *setups, size_t count,
               char *error, size_t error_size) __attribute__((warn_unused_result));
/* The API's context: the server's own certificate, and by name the edge's. 0, or -1 with a
 * sentence.
 */
int setup_make_api(const struct config *config, struct tls_context **ret_context, char *error,
                   size_t error_size) __attribute__((warn_unused_result));
/* Is a certificate named that boards without ECDHE have no cipher for? */
bool setup_shuts_out_old(const struct config *config);
void setup_drop(struct worker_setup *setup);
