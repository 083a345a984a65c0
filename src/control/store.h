/* The store: what outlives the process, in FOLDER/streamplex.db (SQLite, WAL, synchronous=FULL).
 *
 * One thread of its own reads and writes. Whoever asks for a change is told on the main loop when
 * it is on disk, and may take it for granted then, whatever happens to the process. Behind this
 * interface a database server can stand in later.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "net/loop.h"
#include "registry/registry.h"

struct store;

/* Makes or opens the database, brings its schema up to date, and takes the folder's lock, so that
 * no second server works on it. 0, or -1 with a sentence in `error` (locked by another server, not
 * a database or damaged: the file is left as it is; of a newer version; disk full, not writable).
 */
int store_open(const char *folder, struct loop *loop, struct store **ret_store, char *error,
               size_t error_size) __attribute__((warn_unused_result));
/* Finishes what was asked for, then ends the thread; on_done of what was asked isn't called any
 * more. NULL is fine. */
void store_close(struct store *store);

/* Every socket, read before this returns; `each` borrows the facts. 0, or -1 with a sentence. */
int store_load_sockets(struct store *store, int (*each)(void *user, struct socket_facts *facts),
                       void *user, char *error, size_t error_size)
    __attribute__((warn_unused_result));
/* The highest id ever given to a socket, so that none is given twice. */
uint64_t store_last_socket(const struct store *store);

/* error: NULL, or a sentence. On the loop of store_open(). */
typedef void store_on_done(void *user, const char *error);

/* Writes or replaces; facts are kept by reference until done. At most STORE_QUEUE_MAX jobs wait:
 * beyond, and without memory, on_done comes with an error. Never before this returns. */
#define STORE_QUEUE_MAX 4096
void store_put_socket(struct store *store, struct socket_facts *facts, store_on_done *on_done,
                      void *user);
void store_remove_socket(struct store *store, uint64_t id, store_on_done *on_done, void *user);
