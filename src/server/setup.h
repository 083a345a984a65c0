/* What a worker works with, made from a configuration: its TLS contexts, from certificates read
 * anew. */
#pragma once

#include <stddef.h>

#include "server/worker.h"

/* The certificate to use: the one named, or the local CA's in the state folder. Both must hold
 * PATH_MAX. */
void setup_certificate(const struct config *config, char *certificate, char *key, size_t size);
/* 0, or -1 with a sentence in `error`. The setup holds a reference to config. */
int setup_make(struct config *config, struct worker_setup *ret_setup, char *error,
               size_t error_size) __attribute__((warn_unused_result));
void setup_drop(struct worker_setup *setup);
