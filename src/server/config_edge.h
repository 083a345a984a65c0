/* The edge's part of the configuration: what config_load() and config_check() do for it. */
#pragma once

#include "server/config.h"

/* From the settings: addresses, ports, prefixes, times, and the access log, which is opened unless
 * the command only looks. 0, or -1 with a sentence in `error`. */
int config_edge_load(struct config *config, bool only_looks, char *error, size_t error_size)
    __attribute__((warn_unused_result));
/* Are the files and folders named there of use? 0, or -1 with a sentence. */
int config_edge_check(const struct config *config, char *error, size_t error_size)
    __attribute__((warn_unused_result));
void config_edge_deinit(struct config *config);
/* The edge's certificate beside those of --edge-certs: --edge-cert, or without it the local CA's,
 * for names that the folder has none for (`made`, below the state folder; PATH_MAX each). */
void config_edge_certificate(const struct config *config, char *made_certificate, char *made_key,
                             size_t size, struct tls_certificate_file *file);
/* Is the edge's certificate to be made by the local CA? */
bool config_edge_makes_certificate(const struct config *config);
