#include "net/tls.h"

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
    struct tls_sessions *sessions;         /* NULL: none are kept */
    struct tls_certificates *certificates; /* NULL: the one of `ssl` */
    unsigned char *protocols;              /* as ALPN writes them */
    unsigned protocols_size;
    char *protocol_texts; /* the same, each with a NUL behind it */
    char session_id[SSL_MAX_SID_CTX_LENGTH + 1];
    unsigned char pin[32];
};

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
    tls_certificates_unref(context->certificates);
    free(context->protocols);
    free(context->protocol_texts);
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

/* --- protocols -------------------------------------------------------------- */

/* "a,b" becomes what ALPN writes (a length before each), and texts. */
static int set_protocols(struct tls_context *context, const char *list, char *error, size_t size)
{
    size_t length = strlen(list), start = 0;
    context->protocols = malloc(length + 1);
    context->protocol_texts = strdup(list);
    if (!context->protocols || !context->protocol_texts)
        return tls_error_say(error, size, "TLS", NULL, "out of memory");
    context->protocols_size = (unsigned)length + 1;
    memcpy(context->protocols + 1, list, length);
    for (size_t i = 0; i <= length; i++) {
        if (list[i] != ',' && list[i])
            continue;
        if (i == start || i - start > 255)
            return tls_error_say(error, size, "ALPN", list, "a name has 1 to 255 bytes");
        context->protocols[start] = (unsigned char)(i - start);
        context->protocol_texts[i] = 0;
        start = i + 1;
    }
    return 0;
}

const char *tls_context_protocol(const struct tls_context *context, const unsigned char *name,
                                 size_t length)
{
    const unsigned char *at = context->protocols;
    for (unsigned i = 0; name && i < context->protocols_size; i += 1U + at[i])
        if (at[i] == length && memcmp(at + i + 1, name, length) == 0)
            return context->protocol_texts + i;
    return "";
}

/* Ours first; a client that offers none of them goes on without. */
static int choose_protocol(SSL *ssl, const unsigned char **ret_name, unsigned char *ret_length,
                           const unsigned char *offered, unsigned offered_size, void *user)
{
    const struct tls_context *context = user;
    return SSL_select_next_proto((unsigned char **)ret_name, ret_length, context->protocols,
                                 context->protocols_size, offered,
                                 offered_size) == OPENSSL_NPN_NEGOTIATED
               ? SSL_TLSEXT_ERR_OK
               : SSL_TLSEXT_ERR_NOACK;
}

/* --- servers -------------------------------------------------------------- */

/* Without it OpenSSL forgets the name that was asked for when a session of TLS 1.2 is resumed. */
static int take_server_name(SSL *ssl, int *alert, void *user)
{
    return SSL_TLSEXT_ERR_OK;
}

/* A session is resumed only by who asks for the same name (RFC 6066 section 3), or one name's
 * certificate would speak for another's visitor. OpenSSL leaves it to us: the name, as it was sent,
 * is made part of the session's context. */
static int bind_session(SSL *ssl, int *alert, void *user)
{
    const struct tls_context *context = user;
    const unsigned char *name = NULL;
    size_t size = 0;
    unsigned char digest[32];
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    (void)SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &name, &size);
    int ok = hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1 &&
             EVP_DigestUpdate(hash, context->session_id, strlen(context->session_id) + 1) == 1 &&
             EVP_DigestUpdate(hash, name, size) == 1 &&
             EVP_DigestFinal_ex(hash, digest, NULL) == 1 &&
             SSL_set_session_id_context(ssl, digest, sizeof digest) == 1;
    EVP_MD_CTX_free(hash);
    if (ok)
        return SSL_CLIENT_HELLO_SUCCESS;
    *alert = SSL_AD_INTERNAL_ERROR;
    return SSL_CLIENT_HELLO_ERROR;
}

static int set_server_rules(struct tls_context *context, const struct tls_server_options *options)
{
    /* sessions of the old listener are of no use at the new one */
    const char *id = options->session_id_context ? options->session_id_context
                     : options->old              ? "streamplex old"
                                                 : "streamplex";
    SSL_CTX *ssl = context->ssl;
    snprintf(context->session_id, sizeof context->session_id, "%s", id);
    SSL_CTX_set_options(ssl, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    if (options->old) {
        SSL_CTX_set_security_level(ssl, 0);
        SSL_CTX_set_min_proto_version(ssl, TLS1_VERSION);
    }
    SSL_CTX_set_num_tickets(ssl, 1); /* a device resumes one tunnel at a time */
    SSL_CTX_set_tlsext_servername_callback(ssl, take_server_name);
    return SSL_CTX_set_cipher_list(ssl, options->old ? OLD_CIPHERS : MODERN_CIPHERS) == 1 &&
                   SSL_CTX_set_ciphersuites(ssl, MODERN_SUITES) == 1 &&
                   SSL_CTX_set1_groups_list(ssl, GROUPS) == 1 &&
                   SSL_CTX_set_session_id_context(ssl, (const unsigned char *)id,
                                                  (unsigned)strlen(id)) == 1 &&
                   tls_ticket_install(ssl) == 0
               ? 0
               : -1;
}

static int set_server(struct tls_context *context, const struct tls_server_options *options,
                      char *error, size_t size)
{
    const struct tls_certificate_file files = {options->certificate_file, options->key_file,
                                               options->key_passphrase};
    if (set_server_rules(context, options) < 0)
        return tls_error_say(error, size, "TLS", NULL, tls_error_reason());
    if (options->alpn) {
        if (set_protocols(context, options->alpn, error, size) < 0)
            return -1;
        SSL_CTX_set_alpn_select_cb(context->ssl, choose_protocol, context);
    }
    if (!options->certificates)
        return tls_pair_load(context->ssl, &files, error, size);
    context->certificates = tls_certificates_ref(options->certificates);
    tls_certificates_install(context->certificates, context->ssl);
    SSL_CTX_set_client_hello_cb(context->ssl, bind_session, context);
    return 0;
}

int tls_server_new(const struct tls_server_options *options, struct tls_context **ret_context,
                   char *error, size_t error_size)
{
    struct tls_context *context = new_context(TLS_server_method());
    ERR_clear_error();
    if (!context)
        return tls_error_say(error, error_size, "TLS", NULL, "out of memory");
    if (set_server(context, options, error, error_size) < 0) {
        tls_context_unref(context);
        return -1;
    }
    *ret_context = context;
    return 0;
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
        FILE *stream = tls_error_open("CA file", options->ca_file, error, size);
        if (!stream)
            return -1;
        fclose(stream);
        if (SSL_CTX_load_verify_file(ssl, options->ca_file) != 1)
            return tls_error_say(error, size, "CA file", options->ca_file,
                                 "no PEM certificate in it");
    }
    if (options->ca_pem && trust_pem(ssl, options->ca_pem) < 0)
        return tls_error_say(error, size, "CA", NULL, "no PEM certificate in the text");
    if (!options->ca_file && !options->ca_pem && SSL_CTX_set_default_verify_paths(ssl) != 1)
        return tls_error_say(error, size, "CA", NULL, "the system's CAs can't be read");
    return 0;
}

static int set_client_rules(struct tls_context *context, const struct tls_client_options *options,
                            char *error, size_t size)
{
    SSL_CTX *ssl = context->ssl;
    SSL_CTX_set_verify(ssl, options->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    if (options->insecure) {
        /* whoever asks for it wants no CA file to be missed, either */
    } else if (options->pin_sha256) {
        if (parse_pin(options->pin_sha256, context->pin) < 0)
            return tls_error_say(error, size, "pin", NULL, "must be 64 hex digits");
        SSL_CTX_set_cert_verify_callback(ssl, verify_pin, context);
    } else if (load_trust(ssl, options, error, size) < 0) {
        return -1;
    }
    const struct tls_certificate_file files = {options->certificate_file, options->key_file, NULL};
    if (options->certificate_file && tls_pair_load(ssl, &files, error, size) < 0)
        return -1;
    if (options->alpn) {
        if (set_protocols(context, options->alpn, error, size) < 0)
            return -1;
        if (SSL_CTX_set_alpn_protos(ssl, context->protocols, context->protocols_size) != 0)
            return tls_error_say(error, size, "TLS", NULL, "out of memory");
    }
    if (options->cache_sessions) {
        context->sessions = tls_sessions_new();
        if (!context->sessions)
            return tls_error_say(error, size, "TLS", NULL, "out of memory");
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
        return tls_error_say(error, error_size, "TLS", NULL, "out of memory");
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
