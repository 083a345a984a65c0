/* The connection's inside, for conn.c (life, raw TCP), conn_tls.c (TLS) and conn_linger.c (the
 * orderly end). */
#pragma once

#include <openssl/types.h>

#include "net/conn.h"
#include "net/loop_internal.h"
#include "net/watch.h"

/* TLS takes this much at a time: one record. */
#define CONN_RECORD_MAX 16384

enum conn_state {
    CONN_CONNECTING,
    CONN_OPEN,
    CONN_HANDSHAKING,
    CONN_LINGERING, /* given up by its owner, being ended */
    CONN_GONE,      /* waits for the end of the turn to be freed */
};

/* Bytes that were read from the socket by somebody else. */
struct conn_left {
    size_t at, size;
    unsigned char bytes[];
};

struct conn {
    struct watch watch;
    struct loop *loop;
    const struct conn_callbacks *callbacks; /* may be NULL */
    void *user;
    SSL *ssl; /* NULL: raw */
    struct tls_context *context;
    char *session_key;
    struct conn_left *left;
    struct conn_left *out;         /* records that the socket didn't take; only while blocked */
    struct loop_deferred deferred; /* announces, and at last frees */
    struct conn_linger *linger;
    unsigned long tls_error; /* OpenSSL's code, when error is -EPROTO */
    int error;
    int verify_error;  /* X509_V_ERR_*, when the certificate was refused */
    uint16_t pending;  /* bytes taken whose record waits in OpenSSL for the socket */
    uint8_t state;     /* enum conn_state */
    bool readable : 1; /* the owner was told, or will be, and hasn't had CONN_WAIT since */
    bool drained : 1;  /* the socket had less than was asked for, and no event came since */
    bool hung_up : 1;  /* the peer's FIN or RST has been seen by an event */
    bool hangup_told : 1;
    bool ended : 1; /* CONN_END was returned */
    bool read_failed : 1;
    bool write_failed : 1;
    bool fail_told : 1;
    bool blocked : 1;      /* the socket takes nothing; EPOLLOUT is awaited */
    bool read_blocked : 1; /* TLS must write before it can read */
    bool shut : 1;         /* no more is to be written: the owner said so */
    bool shut_done : 1;    /* FIN went out */
    bool quickack : 1;
    bool resumed : 1;
};

/* conn.c */
/* recv(2) after the left-overs; errno as recv's. */
ssize_t conn_receive(struct conn *conn, void *buffer, size_t capacity);
/* send(2); waits for EPOLLOUT when the socket takes less than all. */
ssize_t conn_send(struct conn *conn, const void *bytes, size_t length);
/* conn_cork.c */
/* Takes a record for the send(2) at uncorking; false when the connection isn't corked, or is
 * blocked since just now. */
bool conn_cork_take(struct conn *conn, const void *bytes, size_t size);
/* Sends `out`: 0, with it or still blocked, or CONN_FAILED. */
int conn_flush_rest(struct conn *conn);

/* From now on a writable socket is an event. */
void conn_await_writable(struct conn *conn);
/* Remembers errno's error; returns CONN_FAILED. */
ssize_t conn_fail(struct conn *conn, int error, bool read, bool write);
/* Sends FIN. */
void conn_send_fin(struct conn *conn);
/* Closes the socket, frees what is its own, and itself at the end of the turn. */
void conn_release(struct conn *conn);
static inline bool conn_is_over(const struct conn *conn)
{
    return conn->state >= CONN_LINGERING;
}

/* conn_event.c */
void conn_on_events(struct watch *watch, uint32_t events);
/* What was known before the owner could be told: left-overs, a new owner's news, a connect that
 * failed at once. */
void conn_announce(struct loop_deferred *deferred);
/* Tells the owner once. */
void conn_tell_failed(struct conn *conn);

/* conn_option.c */
void conn_set_option(int fd, int level, int name, int value);
void conn_set_keepalive(int fd);

/* conn_tls.c */
void conn_tls_step(struct conn *conn); /* of the handshake */
ssize_t conn_tls_read(struct conn *conn, void *buffer, size_t capacity);
ssize_t conn_tls_write(struct conn *conn, const void *bytes, size_t length);
/* Sends what waits in OpenSSL, and the close_notify and FIN that waited behind it. 0 (look at
 * `blocked`), or CONN_FAILED. */
int conn_tls_flush(struct conn *conn);
/* Sends close_notify. False: something is still in its way, and conn_tls_flush() goes on. */
bool conn_tls_shutdown(struct conn *conn);
void conn_tls_free(struct conn *conn);

/* conn_linger.c */
/* Ends the connection in good order; the owner has let it go. */
void conn_linger_start(struct conn *conn);
void conn_linger_events(struct conn *conn);
void conn_linger_free(struct conn *conn);
