/* Accounts and their API in the configuration: what config_load() does for them. */
#pragma once

#include "server/config.h"

/* From the settings: addresses, and what is on. After config_edge_load(). 0, or -1 with a sentence.
 */
int config_api_load(struct config *config, char *error, size_t error_size)
    __attribute__((warn_unused_result));
/* Once the state folder is known: where the admin's socket is. 0, or -1 with a sentence. */
int config_api_finish(struct config *config, char *error, size_t error_size)
    __attribute__((warn_unused_result));
void config_api_deinit(struct config *config);
/* "https://api.example": --api-url, else what the edge or the listener says. listener: its first
 * address, or NULL. */
void config_api_url(const struct config *config, const union address *listener, char *buffer,
                    size_t size);
