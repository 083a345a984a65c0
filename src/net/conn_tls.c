/* TLS on a connection. OpenSSL reads and writes the socket through a BIO of ours that shares
 * conn.c's knowledge of when the socket is empty or full: half as many system calls as a BIO that
 * must ask the kernel. */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "net/conn_internal.h"
#include "net/tls_internal.h"

static pthread_once_t method_once = PTHREAD_ONCE_INIT;
static BIO_METHOD *method;

/* --- the BIO -------------------------------------------------------------- */

static int bio_read(BIO *bio, char *buffer, int capacity)
{
    struct conn *conn = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    ssize_t n = conn_receive(conn, buffer, (size_t)capacity);
    if (n == 0)
        BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
    else if (n < 0 && errno == EAGAIN)
        BIO_set_retry_read(bio);
    else if (n < 0)
        conn_fail(conn, -errno, true, false);
    return (int)n;
}

static int bio_write(BIO *bio, const char *bytes, int length)
{
    struct conn *conn = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (conn->blocked) { /* a short send told so just now */
        BIO_set_retry_write(bio);
        return -1;
    }
    if (conn_cork_take(conn, bytes, (size_t)length))
        return length;
    if (conn->blocked) {
        BIO_set_retry_write(bio);
        return -1;
    }
    if (conn->write_failed)
        return -1;
    ssize_t n = conn_send(conn, bytes, (size_t)length);
    if (n < 0 && errno == EAGAIN)
        BIO_set_retry_write(bio);
    else if (n < 0)
        conn_fail(conn, -errno, false, true);
    return (int)n;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    switch (command) {
    case BIO_CTRL_FLUSH:
        return 1;
    case BIO_CTRL_EOF:
        return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
    default:
        return 0;
    }
}

static void make_method(void)
{
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "conn");
    if (!method)
        return;
    BIO_meth_set_read(method, bio_read);
    BIO_meth_set_write(method, bio_write);
    BIO_meth_set_ctrl(method, bio_control);
}

static int set_bio(struct conn *conn)
{
    pthread_once(&method_once, make_method);
    BIO *bio = method ? BIO_new(method) : NULL;
    if (!bio)
        return -ENOMEM;
    BIO_set_data(bio, conn);
    BIO_set_init(bio, 1);
    SSL_set_bio(conn->ssl, bio, bio);
    return 0;
}

/* --- failures ------------------------------------------------------------- */

/* After an SSL function said so: what conn_error() will tell. */
static ssize_t fail(struct conn *conn, int ssl_error)
{
    if (ssl_error == SSL_ERROR_SSL && !conn->error) {
        conn->tls_error = ERR_peek_error();
        if (ERR_GET_REASON(conn->tls_error) == SSL_R_CERTIFICATE_VERIFY_FAILED)
            conn->verify_error = (int)SSL_get_verify_result(conn->ssl);
        conn_fail(conn, -EPROTO, true, true);
    }
    ERR_clear_error();
    /* the BIO has kept the socket's error; without one the peer went away in the middle */
    return conn_fail(conn, -ECONNRESET, true, true);
}

/* Of writing: with the socket's error known, what the peer sent before can still be read. */
static ssize_t fail_write(struct conn *conn, int ssl_error)
{
    if (ssl_error != SSL_ERROR_SYSCALL || !conn->write_failed)
        return fail(conn, ssl_error);
    ERR_clear_error();
    return CONN_FAILED;
}

/* --- handshake ------------------------------------------------------------ */

static void finish_handshake(struct conn *conn)
{
    conn->state = CONN_OPEN;
    conn->resumed = SSL_session_reused(conn->ssl);
    /* what the peer sent right behind its Finished may be here already, and then no event comes for
     * it */
    conn->readable = true;
    if (conn->callbacks)
        conn->callbacks->on_ready(conn);
    if (conn->state == CONN_OPEN && conn->readable && conn->callbacks)
        conn->callbacks->on_readable(conn);
}

/* Returns false when it failed. */
static bool do_handshake(struct conn *conn)
{
    ERR_clear_error();
    conn->blocked = false;
    int result = SSL_do_handshake(conn->ssl);
    if (result == 1)
        return true;
    int error = SSL_get_error(conn->ssl, result);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        return true;
    fail(conn, error);
    return false;
}

void conn_tls_step(struct conn *conn)
{
    if (conn->read_failed || conn->write_failed || !do_handshake(conn))
        conn_tell_failed(conn);
    else if (SSL_is_init_finished(conn->ssl))
        finish_handshake(conn);
}

static int start(struct conn *conn, struct tls_context *context)
{
    assert(conn->state == CONN_OPEN && !conn->ssl && !conn->shut);
    conn->ssl = SSL_new(tls_context_ssl(context));
    if (!conn->ssl)
        return -ENOMEM;
    SSL_set_app_data(conn->ssl, conn);
    if (set_bio(conn) < 0) {
        SSL_free(conn->ssl);
        conn->ssl = NULL;
        return -ENOMEM;
    }
    conn->context = tls_context_ref(context);
    return 0;
}

int conn_start_tls_server(struct conn *conn, struct tls_context *context)
{
    int error = start(conn, context);
    if (error < 0)
        return error;
    SSL_set_accept_state(conn->ssl);
    conn->state = CONN_HANDSHAKING;
    if (conn->readable) /* else the ClientHello will be an event */
        loop_defer(conn->loop, &conn->deferred);
    return 0;
}

int conn_require_certificate(struct conn *conn, struct tls_authority *authority)
{
    assert(conn->state == CONN_HANDSHAKING && SSL_in_before(conn->ssl));
    int result = tls_authority_require(authority, conn->ssl);
    ERR_clear_error();
    return result < 0 ? -ENOMEM : 0;
}

/* The name goes into SNI and is what the certificate must be for; an IP literal only the latter
 * (RFC 6066 section 3). */
static int set_name(struct conn *conn, const char *name)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(conn->ssl);
    unsigned char bytes[16];
    if (inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(param, name) ? 0 : -ENOMEM;
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (!X509_VERIFY_PARAM_set1_host(param, name, 0) || !SSL_set_tlsext_host_name(conn->ssl, name))
        return -ENOMEM;
    return 0;
}

static int set_session(struct conn *conn, const char *session_key)
{
    if (!session_key || !tls_context_caches_sessions(conn->context))
        return 0;
    conn->session_key = strdup(session_key);
    if (!conn->session_key)
        return -ENOMEM;
    SSL_SESSION *session = tls_context_find_session(conn->context, session_key);
    if (session)
        SSL_set_session(conn->ssl, session);
    return 0;
}

int conn_start_tls_client(struct conn *conn, struct tls_context *context, const char *name,
                          const char *session_key)
{
    int error = start(conn, context);
    if (error < 0)
        return error;
    if (set_name(conn, name) < 0 || set_session(conn, session_key) < 0) {
        ERR_clear_error();
        conn_tls_free(conn);
        return -ENOMEM;
    }
    SSL_set_connect_state(conn->ssl);
    conn->state = CONN_HANDSHAKING;
    if (!do_handshake(conn) || conn->readable)
        loop_defer(conn->loop, &conn->deferred);
    return 0;
}

const char *conn_tls_session_key(const SSL *ssl)
{
    const struct conn *conn = SSL_get_app_data(ssl);
    return conn ? conn->session_key : NULL;
}

void conn_tls_free(struct conn *conn)
{
    if (conn->ssl) {
        /* else OpenSSL takes the session for broken and won't resume it */
        SSL_set_shutdown(conn->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        SSL_free(conn->ssl);
        conn->ssl = NULL;
    }
    tls_context_unref(conn->context);
    conn->context = NULL;
    free(conn->session_key);
    conn->session_key = NULL;
    conn->pending = 0;
}

/* --- records -------------------------------------------------------------- */

static ssize_t end(struct conn *conn)
{
    if (conn->error) /* an RST, whose error the event took */
        return conn_fail(conn, conn->error, true, true);
    conn->ended = true;
    return CONN_END;
}

ssize_t conn_tls_read(struct conn *conn, void *buffer, size_t capacity)
{
    size_t n;
    if (conn->drained && !conn->left && !SSL_has_pending(conn->ssl)) {
        conn->readable = false;
        return CONN_WAIT;
    }
    ERR_clear_error();
    int result = SSL_read_ex(conn->ssl, buffer, capacity, &n);
    if (result == 1)
        return (ssize_t)n;
    int error = SSL_get_error(conn->ssl, result);
    switch (error) {
    case SSL_ERROR_WANT_READ:
        conn->readable = false;
        return CONN_WAIT;
    case SSL_ERROR_WANT_WRITE: /* the answer to a key update */
        conn->readable = false;
        conn->read_blocked = true;
        return CONN_WAIT;
    case SSL_ERROR_ZERO_RETURN:
        return end(conn);
    default:
        return fail(conn, error);
    }
}

ssize_t conn_tls_write(struct conn *conn, const void *bytes, size_t length)
{
    size_t n;
    if (length > CONN_RECORD_MAX)
        length = CONN_RECORD_MAX;
    ERR_clear_error();
    int result = SSL_write_ex(conn->ssl, bytes, length, &n);
    if (result == 1)
        return (ssize_t)n;
    int error = SSL_get_error(conn->ssl, result);
    if (error != SSL_ERROR_WANT_WRITE)
        return fail_write(conn, error);
    /* the record is made, with its number in the sequence: it is taken, and flushed when the socket
     * takes it */
    conn->pending = (uint16_t)length;
    return (ssize_t)length;
}

static int flush_record(struct conn *conn)
{
    /* OpenSSL sends the record that it keeps; of the buffer it looks at the length alone */
    static const char any[CONN_RECORD_MAX];
    size_t n;
    ERR_clear_error();
    int result = SSL_write_ex(conn->ssl, any, conn->pending, &n);
    if (result == 1) {
        conn->pending = 0;
        return 0;
    }
    int error = SSL_get_error(conn->ssl, result);
    return error == SSL_ERROR_WANT_WRITE ? 0 : (int)fail_write(conn, error);
}

int conn_tls_flush(struct conn *conn)
{
    if (conn->write_failed || conn_flush_rest(conn) == CONN_FAILED)
        return CONN_FAILED;
    if (conn->out)
        return 0;
    if (conn->pending && flush_record(conn) == CONN_FAILED)
        return CONN_FAILED;
    if (!conn->blocked && conn->shut && !conn->shut_done && conn_tls_shutdown(conn))
        conn_send_fin(conn);
    return conn->write_failed ? CONN_FAILED : 0;
}

bool conn_tls_shutdown(struct conn *conn)
{
    if (conn->blocked)
        return false;
    ERR_clear_error();
    int result = SSL_shutdown(conn->ssl);
    if (result >= 0)
        return true;
    int error = SSL_get_error(conn->ssl, result);
    if (error == SSL_ERROR_WANT_WRITE)
        return false;
    ERR_clear_error();
    return true; /* it can't be sent any more; the FIN tells */
}

const char *conn_tls_version(const struct conn *conn)
{
    return conn->ssl ? SSL_get_version(conn->ssl) : "";
}

bool conn_tls_resumed(const struct conn *conn)
{
    return conn->resumed;
}

const char *conn_tls_alpn(const struct conn *conn)
{
    const unsigned char *name = NULL;
    unsigned length = 0;
    if (!conn->ssl)
        return "";
    SSL_get0_alpn_selected(conn->ssl, &name, &length);
    return tls_context_protocol(conn->context, name, length);
}

const char *conn_tls_server_name(const struct conn *conn)
{
    const char *name = conn->ssl && SSL_is_server(conn->ssl)
                           ? SSL_get_servername(conn->ssl, TLSEXT_NAMETYPE_host_name)
                           : NULL;
    return name ? name : "";
}

char *conn_tls_peer_subject(const struct conn *conn)
{
    bool is_checked =
        conn->ssl && SSL_is_server(conn->ssl) && (SSL_get_verify_mode(conn->ssl) & SSL_VERIFY_PEER);
    X509 *certificate = is_checked ? SSL_get0_peer_certificate(conn->ssl) : NULL;
    if (!certificate)
        return NULL;
    char *bytes = NULL, *text = NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    if (bio &&
        X509_NAME_print_ex(bio, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253) >= 0) {
        long length = BIO_get_mem_data(bio, &bytes);
        text = strndup(length > 0 ? bytes : "", length > 0 ? (size_t)length : 0);
    }
    BIO_free(bio);
    ERR_clear_error();
    return text;
}
