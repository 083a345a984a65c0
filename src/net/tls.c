#include "net/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/tls_internal.h"
#include "net/tls_session.h"
#include "net/tls_ticket.h"

/* Forward secrecy and authenticated encryption alone; CCM for microcontrollers. The fastest first.
 */
#define MODERN_CIPHERS "ECDHE+AESGCM+AES128:ECDHE+CHACHA20:ECDHE+AESGCM:ECDHE+AESCCM"
#define MODERN_SUITES  "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384"
/* RSA key exchange, CBC and SHA-1: what the boards of 2014 have; their level is 0 in OpenSSL 3. */
#define OLD_CIPHERS "ECDHE+AES:RSA+AES:ALL:!aNULL:!eNULL:@SECLEVEL=0"
#define GROUPS      "X25519:P-256:P-384"

struct tls_context {
    SSL_CTX *ssl;
    atomic_int references;
    struct tls_sessions *sessions; /* NULL: none are kept */
    unsigned char pin[32];
};

/* --- errors --------------------------------------------------------------- */

static int say(char *error, size_t size, const char *what, const char *file, const char *why)
{
    if (file)
        snprintf(error, size, "%s %s: %s", what, file, why);
    else
        snprintf(error, size, "%s: %s", what, why);
    ERR_clear_error();
    return -1;
}

static const char *openssl_reason(void)
{
    const char *reason = ERR_reason_error_string(ERR_peek_error());
    return reason ? reason : "not usable";
}

static FILE *open_file(const char *what, const char *file, char *error, size_t size)
{
    FILE *stream = fopen(file, "re");
    if (!stream)
        (void)say(error, size, what, file, strerror(errno));
    return stream;
}

/* --- life ----------------------------------------------------------------- */

static struct tls_context *new_context(const SSL_METHOD *method)
{
    struct tls_context *context = calloc(1, sizeof *context);
    if (!context)
        return NULL;
    context->ssl = SSL_CTX_new(method);
    if (!context->ssl) {
        free(context);
        return NULL;
    }
    SSL_CTX *ssl = context->ssl;
    atomic_init(&context->references, 1);
    SSL_CTX_set_app_data(ssl, context);
    SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
    /* One read per record, not two. A larger buffer saves few more, and a peer that stops in the
     * middle of a record holds all of it. */
    SSL_CTX_set_read_ahead(ssl, 1);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    return context;
}

struct tls_context *tls_context_ref(struct tls_context *context)
{
    atomic_fetch_add_explicit(&context->references, 1, memory_order_relaxed);
    return context;
}

void tls_context_unref(struct tls_context *context)
{
    if (!context || atomic_fetch_sub_explicit(&context->references, 1, memory_order_acq_rel) > 1)
        return;
    tls_sessions_free(context->sessions);
    SSL_CTX_free(context->ssl);
    free(context);
}

SSL_CTX *tls_context_ssl(struct tls_context *context)
{
    return context->ssl;
}

bool tls_context_caches_sessions(const struct tls_context *context)
{
    return context->sessions;
}

SSL_SESSION *tls_context_find_session(struct tls_context *context, const char *key)
{
    return tls_sessions_find(context->sessions, key);
}

/* --- servers -------------------------------------------------------------- */

/* Never a prompt: a server has nobody to ask. */
static int give_passphrase(char *buffer, int size, int writing, void *user)
{
    const char *passphrase = user;
    if (!passphrase || strlen(passphrase) >= (size_t)size)
        return -1;
    memcpy(buffer, passphrase, strlen(passphrase));
    return (int)strlen(passphrase);
}

static int load_certificate(SSL_CTX *ssl, const char *file, char *error, size_t size)
{
    FILE *stream = open_file("certificate", file, error, size);
    if (!stream)
        return -1;
    fclose(stream);
    if (SSL_CTX_use_certificate_chain_file(ssl, file) == 1)
        return 0;
    /* the first error is the cause, those after it are of the callers */
    if (ERR_GET_REASON(ERR_peek_error()) == PEM_R_NO_START_LINE)
        return say(error, size, "certificate", file, "no PEM certificate in it");
    return say(error, size, "certificate", file, openssl_reason());
}

/* OpenSSL tries several decoders, each of which leaves its errors. */
static const char *key_fault(const char *passphrase)
{
    const char *fault = "damaged";
    unsigned long code;
    while ((code = ERR_get_error())) {
        if (ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_BAD_PASSWORD_READ)
            return passphrase ? "passphrase too long" : "encrypted, and no passphrase is set";
        if (ERR_GET_LIB(code) == ERR_LIB_OSSL_DECODER && ERR_GET_REASON(code) == ERR_R_UNSUPPORTED)
            fault = "no PEM private key in it";
        else if (passphrase)
            fault = "passphrase wrong, or the key is damaged";
    }
    return fault;
}

static int load_key(SSL_CTX *ssl, const struct tls_server_options *options, char *error,
                    size_t size)
{
    FILE *stream = open_file("private key", options->key_file, error, size);
    if (!stream)
        return -1;
    EVP_PKEY *key =
        PEM_read_PrivateKey(stream, NULL, give_passphrase, (void *)options->key_passphrase);
    fclose(stream);
    if (!key)
        return say(error, size, "private key", options->key_file,
                   key_fault(options->key_passphrase));
    int is_used = SSL_CTX_use_PrivateKey(ssl, key);
    EVP_PKEY_free(key);
    if (is_used != 1 || SSL_CTX_check_private_key(ssl) != 1)
        return say(error, size, "private key", options->key_file, "doesn't match the certificate");
    return 0;
}

static int set_server_rules(SSL_CTX *ssl, bool old)
{
    /* sessions of the old listener are of no use at the new one */
    const char *id = old ? "streamplex old" : "streamplex";
    SSL_CTX_set_options(ssl, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    if (old) {
        SSL_CTX_set_security_level(ssl, 0);
        SSL_CTX_set_min_proto_version(ssl, TLS1_VERSION);
    }
    SSL_CTX_set_num_tickets(ssl, 1); /* a device resumes one tunnel at a time */
    return SSL_CTX_set_cipher_list(ssl, old ? OLD_CIPHERS : MODERN_CIPHERS) == 1 &&
                   SSL_CTX_set_ciphersuites(ssl, MODERN_SUITES) == 1 &&
                   SSL_CTX_set1_groups_list(ssl, GROUPS) == 1 &&
                   SSL_CTX_set_session_id_context(ssl, (const unsigned char *)id,
                                                  (unsigned)strlen(id)) == 1 &&
                   tls_ticket_install(ssl) == 0
               ? 0
               : -1;
}

int tls_server_new(const struct tls_server_options *options, struct tls_context **ret_context,
                   char *error, size_t error_size)
{
    struct tls_context *context = new_context(TLS_server_method());
    ERR_clear_error();
    if (!context)
        return say(error, error_size, "TLS", NULL, "out of memory");
    if (set_server_rules(context->ssl, options->old) < 0) {
        (void)say(error, error_size, "TLS", NULL, openssl_reason());
    } else if (load_certificate(context->ssl, options->certificate_file, error, error_size) == 0 &&
               load_key(context->ssl, options, error, error_size) == 0) {
        *ret_context = context;
        return 0;
    }
    tls_context_unref(context);
    return -1;
}

/* --- clients -------------------------------------------------------------- */

static int on_new_session(SSL *ssl, SSL_SESSION *session)
{
    struct tls_context *context = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    const char *key = conn_tls_session_key(ssl);
    if (!key || !context->sessions)
        return 0;
    tls_sessions_keep(context->sessions, key, session);
    return 1;
}

/* SHA-256 of the certificate, or of its public key: whoever copies a pin may have taken either. */
static bool matches_pin(X509 *certificate, const unsigned char pin[32])
{
    unsigned char digest[32], *spki = NULL;
    unsigned size = sizeof digest;
    if (X509_digest(certificate, EVP_sha256(), digest, &size) == 1 && memcmp(digest, pin, 32) == 0)
        return true;
    int length = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &spki);
    bool matches = length > 0 &&
                   EVP_Digest(spki, (size_t)length, digest, NULL, EVP_sha256(), NULL) &&
                   memcmp(digest, pin, 32) == 0;
    OPENSSL_free(spki);
    return matches;
}

static int verify_pin(X509_STORE_CTX *store, void *user)
{
    const struct tls_context *context = user;
    X509 *certificate = X509_STORE_CTX_get0_cert(store);
    bool matches = certificate && matches_pin(certificate, context->pin);
    X509_STORE_CTX_set_error(store, matches ? X509_V_OK : X509_V_ERR_CERT_REJECTED);
    return matches;
}

static int parse_pin(const char *hex, unsigned char pin[32])
{
    size_t length = 0;
    return strlen(hex) == 64 && OPENSSL_hexstr2buf_ex(pin, 32, &length, hex, '\0') == 1 &&
                   length == 32
               ? 0
               : -1;
}

static int trust_pem(SSL_CTX *ssl, const char *pem)
{
    int count = 0;
    X509 *certificate;
    BIO *bio = BIO_new_mem_buf(pem, -1);
    if (!bio)
        return -1;
    while ((certificate = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL))) {
        count += X509_STORE_add_cert(SSL_CTX_get_cert_store(ssl), certificate);
        X509_free(certificate);
    }
    BIO_free(bio);
    ERR_clear_error();
    return count > 0 ? 0 : -1;
}

static int load_trust(SSL_CTX *ssl, const struct tls_client_options *options, char *error,
                      size_t size)
{
    if (options->ca_file) {
        FILE *stream = open_file("CA file", options->ca_file, error, size);
        if (!stream)
            return -1;
        fclose(stream);
        if (SSL_CTX_load_verify_file(ssl, options->ca_file) != 1)
            return say(error, size, "CA file", options->ca_file, "no PEM certificate in it");
    }
    if (options->ca_pem && trust_pem(ssl, options->ca_pem) < 0)
        return say(error, size, "CA", NULL, "no PEM certificate in the text");
    if (!options->ca_file && !options->ca_pem && SSL_CTX_set_default_verify_paths(ssl) != 1)
        return say(error, size, "CA", NULL, "the system's CAs can't be read");
    return 0;
}

static int set_client_rules(struct tls_context *context, const struct tls_client_options *options,
                            char *error, size_t size)
{
    SSL_CTX *ssl = context->ssl;
    SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, NULL);
    if (options->pin_sha256) {
        if (parse_pin(options->pin_sha256, context->pin) < 0)
            return say(error, size, "pin", NULL, "must be 64 hex digits");
        SSL_CTX_set_cert_verify_callback(ssl, verify_pin, context);
    } else if (load_trust(ssl, options, error, size) < 0) {
        return -1;
    }
    if (options->cache_sessions) {
        context->sessions = tls_sessions_new();
        if (!context->sessions)
            return say(error, size, "TLS", NULL, "out of memory");
        SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(ssl, on_new_session);
    }
    return 0;
}

int tls_client_new(const struct tls_client_options *options, struct tls_context **ret_context,
                   char *error, size_t error_size)
{
    struct tls_context *context = new_context(TLS_client_method());
    ERR_clear_error();
    if (!context)
        return say(error, error_size, "TLS", NULL, "out of memory");
    if (set_client_rules(context, options, error, error_size) < 0) {
        tls_context_unref(context);
        return -1;
    }
    *ret_context = context;
    return 0;
}

const char *tls_library(void)
{
    return OpenSSL_version(OPENSSL_VERSION);
}
