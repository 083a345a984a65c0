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
 * more. On the loop's thread, before loop_free(). NULL is fine. */
void store_close(struct store *store);

/* Every socket, read before this returns; `each` borrows the facts, and returns 0, or anything else
 * to end it. 0, or -1 with a sentence, which is `each`'s own affair where that ended it. */
int store_load_sockets(struct store *store, int (*each)(void *user, struct socket_facts *facts),
                       void *user, char *error, size_t error_size)
    __attribute__((warn_unused_result));
/* The highest id ever given to a socket as of store_open(), so that none is given twice. */
uint64_t store_last_socket(const struct store *store);

/* error: NULL, or a sentence. On the loop of store_open(). */
typedef void store_on_done(void *user, const char *error);

/* Jobs that may wait: a crowd of agents after a restart fits, and memory stays bounded. */
#define STORE_QUEUE_MAX 4096

enum store_error {
    STORE_OK = 0,
    STORE_BUSY = -1, /* STORE_QUEUE_MAX jobs wait */
    STORE_MEMORY = -2,
};
const char *store_error_text(int error);

/* Writes or replaces; facts are kept by reference until done. All jobs that wait go to disk in one
 * transaction; one that can't be (its name is another's) fails alone. 0, or an enum store_error,
 * and then on_done isn't called. It is never called before this returns. */
int store_put_socket(struct store *store, struct socket_facts *facts, store_on_done *on_done,
                     void *user) __attribute__((warn_unused_result));
int store_remove_socket(struct store *store, uint64_t id, store_on_done *on_done, void *user)
    __attribute__((warn_unused_result));
