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

struct account;      /* control/accounts.h */
struct device_token; /* control/accounts.h */
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
/* The highest id ever given to a socket (an account, ...) as of store_open(), so that none is given
 * twice. */
uint64_t store_last_socket(const struct store *store);
uint64_t store_last_account(const struct store *store);
uint64_t store_last_token(const struct store *store);
uint64_t store_last_tunnel(const struct store *store);

/* error: NULL, or a sentence. On the loop of store_open(). Where it is NULL, nobody is told. */
typedef void store_on_done(void *user, const char *error);
/* Nobody is told any more of what was asked for with this user; it is done nevertheless. */
void store_forget(struct store *store, const void *user);

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

/* --- Accounts and their device tokens; kept by reference until done --- */

int store_put_account(struct store *store, struct account *account, store_on_done *on_done,
                      void *user) __attribute__((warn_unused_result));
/* With its tokens and what it has used; its sockets are for the caller. */
int store_remove_account(struct store *store, uint64_t id, store_on_done *on_done, void *user)
    __attribute__((warn_unused_result));
/* In the order of ids, as store_load_sockets(). */
int store_load_accounts(struct store *store, int (*each)(void *user, struct account *account),
                        void *user, char *error, size_t error_size)
    __attribute__((warn_unused_result));

/* A token that is there keeps its last use. Fails alone when its account is no more. */
int store_put_token(struct store *store, struct device_token *token, store_on_done *on_done,
                    void *user) __attribute__((warn_unused_result));
int store_remove_token(struct store *store, uint64_t id, store_on_done *on_done, void *user)
    __attribute__((warn_unused_result));
struct stored_use {
    uint64_t token; /* id; one that is no more is passed over */
    uint64_t used;  /* seconds since 1970 */
};
/* All of them in one job; copied. */
int store_use_tokens(struct store *store, const struct stored_use *uses, size_t count,
                     store_on_done *on_done, void *user) __attribute__((warn_unused_result));
/* last_used: seconds since 1970, 0: never. In the order of ids. */
int store_load_tokens(struct store *store,
                      int (*each)(void *user, struct device_token *token, uint64_t last_used),
                      void *user, char *error, size_t error_size)
    __attribute__((warn_unused_result));

/* --- Logins that are no more --- */

#define STORE_JTI_MAX 32
/* expires, now: seconds since 1970. Those that have expired a day before now are forgotten with it
 * (a day: so that a clock that was wrong for some hours brings none of them back). */
int store_deny_login(struct store *store, const char *jti, uint64_t expires, uint64_t now,
                     store_on_done *on_done, void *user) __attribute__((warn_unused_result));
int store_load_denied(struct store *store,
                      int (*each)(void *user, const char *jti, uint64_t expires), void *user,
                      char *error, size_t error_size) __attribute__((warn_unused_result));

/* --- Tunnels that people have made for a socket --- */

struct stored_tunnel {
    uint64_t id;
    char uuid[UUID_SIZE];
    uint64_t socket;  /* its id; removed with it */
    uint64_t created; /* seconds since 1970 */
};
/* Copied. Fails alone when its socket is no more. */
int store_put_tunnel(struct store *store, const struct stored_tunnel *tunnel,
                     store_on_done *on_done, void *user) __attribute__((warn_unused_result));
int store_remove_tunnel(struct store *store, uint64_t id, store_on_done *on_done, void *user)
    __attribute__((warn_unused_result));
/* In the order of ids. */
int store_load_tunnels(struct store *store,
                       int (*each)(void *user, const struct stored_tunnel *tunnel), void *user,
                       char *error, size_t error_size) __attribute__((warn_unused_result));

/* --- Usage --- */

struct stored_usage {
    char owner[REGISTRY_OWNER_MAX + 1];
    uint32_t month; /* 202611 */
    uint64_t bytes;
};
/* Adds to what is there; all of them in one job; copied. */
int store_add_usage(struct store *store, const struct stored_usage *usage, size_t count,
                    store_on_done *on_done, void *user) __attribute__((warn_unused_result));
/* Of one month. */
int store_load_usage(struct store *store, uint32_t month,
                     int (*each)(void *user, const struct stored_usage *usage), void *user,
                     char *error, size_t error_size) __attribute__((warn_unused_result));

/* --- Backup --- */

/* Copies the whole database as it is after all that was asked for before, into a new file (0600),
 * which can take the place of streamplex.db. Fails, and leaves nothing, when the file exists or
 * can't be written. Changes wait meanwhile. */
int store_backup(struct store *store, const char *file, store_on_done *on_done, void *user)
    __attribute__((warn_unused_result));
