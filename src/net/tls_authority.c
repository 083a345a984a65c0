/* CAs whose certificates peers must show to a server of ours. */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "net/tls_internal.h"

struct tls_authority {
    atomic_int references;
    X509_STORE *store;
    STACK_OF(X509_NAME) * names; /* told to the peer, who may have to choose */
};

static int add(struct tls_authority *authority, X509 *certificate)
{
    X509_NAME *name = X509_NAME_dup(X509_get_subject_name(certificate));
    if (!name)
        return -1;
    if (sk_X509_NAME_push(authority->names, name) <= 0) {
        X509_NAME_free(name);
        return -1;
    }
    return X509_STORE_add_cert(authority->store, certificate) == 1 ? 0 : -1;
}

/* All certificates of the text. How many, or -1. */
static int read_certificates(struct tls_authority *authority, BIO *bio)
{
    X509 *certificate;
    int count = 0;
    while ((certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
        int result = add(authority, certificate);
        X509_free(certificate);
        if (result < 0)
            return -1;
        count++;
    }
    /* "no start line" is how the end is told; anything else is a certificate that can't be read */
    return ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE ? count : -1;
}

int tls_authority_new(const char *pem, struct tls_authority **ret_authority, char *error,
                      size_t error_size)
{
    ERR_clear_error();
    struct tls_authority *authority = calloc(1, sizeof *authority);
    if (!authority)
        return tls_error_say(error, error_size, "client CA", NULL, "out of memory");
    atomic_init(&authority->references, 1);
    authority->store = X509_STORE_new();
    authority->names = sk_X509_NAME_new_null();
    BIO *bio = BIO_new_mem_buf(pem, -1);
    int count =
        authority->store && authority->names && bio ? read_certificates(authority, bio) : -1;
    BIO_free(bio);
    if (count <= 0) {
        tls_authority_unref(authority);
        return tls_error_say(error, error_size, "client CA", NULL,
                             count ? tls_error_reason() : "there is no certificate in it");
    }
    ERR_clear_error();
    /* An authority below another may be named alone. */
    X509_STORE_set_flags(authority->store, X509_V_FLAG_PARTIAL_CHAIN);
    *ret_authority = authority;
    return 0;
}

struct tls_authority *tls_authority_ref(struct tls_authority *authority)
{
    atomic_fetch_add_explicit(&authority->references, 1, memory_order_relaxed);
    return authority;
}

void tls_authority_unref(struct tls_authority *authority)
{
    if (!authority ||
        atomic_fetch_sub_explicit(&authority->references, 1, memory_order_acq_rel) > 1)
        return;
    X509_STORE_free(authority->store);
    sk_X509_NAME_pop_free(authority->names, X509_NAME_free);
    free(authority);
}

/* A session resumed would bring a certificate that nobody looks at now: none is given out, and none
 * is taken, whatever it was made for. */
int tls_authority_require(struct tls_authority *authority, SSL *ssl)
{
    STACK_OF(X509_NAME) *names =
        sk_X509_NAME_deep_copy(authority->names, X509_NAME_dup, X509_NAME_free);
    if (!names || SSL_set1_verify_cert_store(ssl, authority->store) != 1 ||
        SSL_set_num_tickets(ssl, 0) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return -1;
    }
    SSL_set0_CA_list(ssl, names);
    SSL_set_options(ssl, SSL_OP_NO_TICKET);
    SSL_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return 0;
}
