/* The running server, seen from the main thread: listeners, workers, reload, drain.
 *
 * The main thread accepts tunnels and hands them out, checks tokens that need asking elsewhere,
 * answers the admin listener and signals. Tunnels are the workers', who accept visitors themselves.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "server/config.h"

struct server;

/* Opens listeners and starts workers. argc and argv are read again at each reload, and outlive the
 * server. Takes the reference to config. 0, or -1 with a sentence in `error`. */
int server_new(struct config *config, int argc, char **argv, struct server **ret_server,
               char *error, size_t error_size) __attribute__((warn_unused_result));
/* Serves until it is told to stop and has drained; the process's exit status. */
int server_run(struct server *server);
void server_free(struct server *server);

/* The addresses listened on for tunnels, with their real ports; valid until the server is freed. */
size_t server_addresses(const struct server *server, const union address **ret_addresses);
/* Is the address of this index one for old boards? */
bool server_is_old(const struct server *server, size_t index);
/* Is there one for old boards? */
bool server_has_old(const struct server *server);

/* Where people find the API; "" when it is off. */
void server_api_url(const struct server *server, char *buffer, size_t size);
/* The same of the edge's listeners; valid as long. */
size_t server_edge_count(const struct server *server);
const union address *server_edge_address(const struct server *server, size_t index,
                                         enum edge_entry *ret_entry);
