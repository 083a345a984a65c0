/* A connection: a socket, TLS on it or not, and the interest in both on one loop.
 *
 * Reading and writing are pulled by the owner, in the manner of edge-triggered readiness:
 * on_readable says once that there is something; then conn_read() until CONN_WAIT (which arms
 * on_readable again) or until the owner has enough (no on_readable comes then: the owner reads on
 * when it wants to). The same for on_writable and conn_write(). While the owner doesn't read, the
 * peer's going away is still noticed: on_hangup.
 *
 * After conn_close(), conn_abort() or conn_detach() no callback comes, and the conn is no longer
 * the caller's. Every callback may call any of them. Errors of the peer's making end in on_failed
 * or CONN_FAILED, never in the process's end.
 *
 * To add a transport: conn_read/_write/_shutdown are the only places that know whether there is
 * TLS.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/address.h"
#include "net/loop.h"

struct conn;
struct tls_authority;
struct tls_context;

enum {
    CONN_WAIT = 0,    /* nothing now; on_readable or on_writable will tell */
    CONN_END = -1,    /* conn_read: the peer sends no more (close_notify, FIN, or an unexpected EOF
                         under TLS) */
    CONN_FAILED = -2, /* conn_error() tells; close it */
};

struct conn_callbacks {
    /* The connection made by conn_connect() stands, or the TLS handshake is done. */
    void (*on_ready)(struct conn *conn);
    void (*on_readable)(struct conn *conn);
    /* After conn_write() took less than all, or CONN_WAIT. */
    void (*on_writable)(struct conn *conn);
    /* The peer closed or reset while nobody was reading, or reset after CONN_END; what it sent
     * before can still be read. conn_error() is 0 after a FIN. May be NULL. Comes once. */
    void (*on_hangup)(struct conn *conn);
    /* Connecting, the handshake, or the socket failed: conn_error(). The owner closes. */
    void (*on_failed)(struct conn *conn);
};

/* Takes any connected socket and makes it non-blocking, with TCP_NODELAY. 0, or a negative errno
 * (then fd is still the caller's). */
int conn_open(struct loop *loop, int fd, const struct conn_callbacks *callbacks, void *user,
              struct conn **ret_conn) __attribute__((warn_unused_result));
/* The same for a socket that an acceptor or conn_detach() gave, which is so already. With `left`,
 * bytes that were read from the socket before are read first (they are copied). */
int conn_attach(struct loop *loop, int fd, const void *left, size_t left_size,
                const struct conn_callbacks *callbacks, void *user, struct conn **ret_conn)
    __attribute__((warn_unused_result));
/* Begins to connect; on_ready or on_failed follow, never before this returns. */
int conn_connect(struct loop *loop, const union address *address,
                 const struct conn_callbacks *callbacks, void *user, struct conn **ret_conn)
    __attribute__((warn_unused_result));
/* Gives socket (non-blocking) and unread bytes away (raw TCP only, -EOPNOTSUPP with TLS under way):
 * *ret_left is malloced, may be NULL, and the caller's. The conn is gone. What conn_read() gave
 * before, the caller passes on itself, ahead of *ret_left; an end of the peer's that was read is
 * read again by the next owner. */
int conn_detach(struct conn *conn, int *ret_fd, void **ret_left, size_t *ret_left_size)
    __attribute__((warn_unused_result));

/* Starts a handshake; on_ready or on_failed follow. The context is kept until the conn is freed. */
int conn_start_tls_server(struct conn *conn, struct tls_context *context)
    __attribute__((warn_unused_result));
/* Right after conn_start_tls_server(): the handshake fails (certificate_required) unless the client
 * shows a certificate of these CAs. No session is resumed then, so that it is shown each time. 0 or
 * -ENOMEM. */
int conn_require_certificate(struct conn *conn, struct tls_authority *authority)
    __attribute__((warn_unused_result));
/* name: for SNI and for the certificate; an IP literal is checked against the certificate's IP
 * names, without SNI. session_key ("host:port") finds a session to resume; NULL: none. */
int conn_start_tls_client(struct conn *conn, struct tls_context *context, const char *name,
                          const char *session_key) __attribute__((warn_unused_result));

/* Callbacks may be NULL for a while; a new owner is told by on_readable when there was something to
 * read already. */
void conn_set_callbacks(struct conn *conn, const struct conn_callbacks *callbacks, void *user);
void *conn_user(const struct conn *conn);
struct loop *conn_loop(const struct conn *conn);
int conn_fd(const struct conn *conn); /* to read socket options; still the conn's */

/* These three once on_ready has come (at once after conn_open() and conn_attach()). */
/* Bytes read (> 0), CONN_WAIT, CONN_END or CONN_FAILED. */
ssize_t conn_read(struct conn *conn, void *buffer, size_t capacity)
    __attribute__((warn_unused_result));
/* Bytes taken (> 0, perhaps fewer than length on raw TCP; under TLS all of at most 16 KiB or none),
 * CONN_WAIT or CONN_FAILED. What was taken will be sent, even if it still waits in a record here.
 */
ssize_t conn_write(struct conn *conn, const void *bytes, size_t length)
    __attribute__((warn_unused_result));
/* False while the socket is full (a record of TLS waits for it): conn_write() would take nothing,
 * on_writable comes. */
bool conn_can_write(const struct conn *conn);
/* Between these two, what is written under TLS is gathered, and sent together when uncorked (or
 * when there is much of it). One connection of a thread at a time, and nothing but writing to it in
 * between. Uncorking returns 0 or CONN_FAILED. */
void conn_cork(struct conn *conn);
int conn_uncork(struct conn *conn) __attribute__((warn_unused_result));
/* No more will be written: close_notify and FIN, after what was taken. Reading goes on. Idempotent.
 */
void conn_shutdown(struct conn *conn);

/* Orderly end: what was taken is sent, then FIN; if the peer hasn't ended yet, its bytes are thrown
 * away for up to 2 s so that no RST destroys what it hasn't read. Takes NULL. */
void conn_close(struct conn *conn);
/* At once, with RST. Takes NULL. */
void conn_abort(struct conn *conn);

/* Options of long-lived tunnels: keepalive after 60 s, TCP_USER_TIMEOUT, TCP_NOTSENT_LOWAT. */
void conn_set_tunnel_options(struct conn *conn);
/* TCP_QUICKACK now, and again after each read while on: frees peers that combine Nagle with delayed
 * ACKs. */
void conn_set_quickack(struct conn *conn, bool on);

/* 0 or a negative errno; -EPROTO for a failure of TLS, whose text is conn_error_text(). */
int conn_error(const struct conn *conn);
/* "ECONNRESET"-like names for errno, X509 names ("DEPTH_ZERO_SELF_SIGNED_CERT") for verification,
 * "EPROTO" else. */
const char *conn_error_code(const struct conn *conn);
/* A sentence for logs and peers; for a certificate that isn't trusted the verification's own words.
 */
const char *conn_error_text(const struct conn *conn);

bool conn_peer_address(const struct conn *conn, union address *ret_address);
/* TLS facts once ready: version name, whether the session was resumed. */
const char *conn_tls_version(const struct conn *conn);
bool conn_tls_resumed(const struct conn *conn);
/* The protocol agreed on, "" without; the name that the client asked for (server side), "" without.
 * Valid as long as the conn. */
const char *conn_tls_alpn(const struct conn *conn);
const char *conn_tls_server_name(const struct conn *conn);
/* The subject of the certificate that the client has shown and that was checked, as RFC 2253 writes
 * it, in printable ASCII: malloced. NULL: there is none, or no memory. */
char *conn_tls_peer_subject(const struct conn *conn) __attribute__((warn_unused_result));
/* Bytes held in user space for this connection beyond its idle cost (left-overs). */
size_t conn_buffered(const struct conn *conn);
