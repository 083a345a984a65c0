/* Certificates chosen by the name that a client asks for. */
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* without memory, uthash is to give up the one insertion, not the process */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "base/log.h"
#include "net/tls_folder.h"
#include "net/tls_internal.h"

#define NAME_MAX_LENGTH 253 /* of a host, RFC 1035 */

/* A name that a certificate is for, "*.example.org" among them; in lower case. */
struct name {
    UT_hash_handle hh;
    SSL_CTX *pair;
    char text[];
};

struct tls_certificates {
    atomic_int references;
    struct name *names;
    size_t count;
    SSL_CTX *pairs[]; /* each keeps one certificate, its chain and its key */
};

/* --- names ---------------------------------------------------------------- */

static bool lower(char *name, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (name[i] >= 'A' && name[i] <= 'Z')
            name[i] = (char)(name[i] | 0x20);
        if (!name[i])
            return false;
    }
    return length > 0 && length <= NAME_MAX_LENGTH;
}

/* The first certificate for a name keeps it. */
static int add_name(struct tls_certificates *certificates, SSL_CTX *pair, const ASN1_STRING *string)
{
    size_t length = (size_t)ASN1_STRING_length(string);
    struct name *found, *name = calloc(1, sizeof *name + length + 1);
    if (!name)
        return -1;
    name->pair = pair;
    memcpy(name->text, ASN1_STRING_get0_data(string), length);
    bool is_name = lower(name->text, length);
    HASH_FIND(hh, certificates->names, name->text, length, found);
    if (found || !is_name) {
        free(name);
        return 0;
    }
    HASH_ADD_KEYPTR(hh, certificates->names, name->text, length, name);
    if (name->hh.tbl)
        return 0;
    free(name);
    return -1;
}

static int add_alternatives(struct tls_certificates *certificates, SSL_CTX *pair,
                            const GENERAL_NAMES *alternatives, int *ret_count)
{
    for (int i = 0; i < sk_GENERAL_NAME_num(alternatives); i++) {
        const GENERAL_NAME *alternative = sk_GENERAL_NAME_value(alternatives, i);
        if (alternative->type != GEN_DNS)
            continue;
        ++*ret_count;
        if (add_name(certificates, pair, alternative->d.dNSName) < 0)
            return -1;
    }
    return 0;
}

/* subjectAltName's DNS names; a certificate without any is for its common name. */
static int add_names(struct tls_certificates *certificates, SSL_CTX *pair)
{
    X509 *certificate = SSL_CTX_get0_certificate(pair);
    GENERAL_NAMES *alternatives = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    int count = 0, result = 0, at;
    if (alternatives) {
        result = add_alternatives(certificates, pair, alternatives, &count);
        GENERAL_NAMES_free(alternatives);
    }
    X509_NAME *subject = X509_get_subject_name(certificate);
    if (count == 0 && (at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1)) >= 0)
        result = add_name(certificates, pair,
                          X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    ERR_clear_error();
    return result;
}

static SSL_CTX *find(const struct tls_certificates *certificates, const char *asked)
{
    char text[NAME_MAX_LENGTH + 2];
    struct name *name;
    size_t length = asked ? strlen(asked) : 0;
    if (length == 0 || length > NAME_MAX_LENGTH)
        return certificates->pairs[0];
    memcpy(text, asked, length + 1);
    (void)lower(text, length);
    HASH_FIND(hh, certificates->names, text, length, name);
    char *dot = strchr(text, '.');
    if (!name && dot && dot > text) { /* a wildcard stands for one label */
        dot[-1] = '*';
        HASH_FIND(hh, certificates->names, dot - 1, strlen(dot - 1), name);
    }
    return name ? name->pair : certificates->pairs[0];
}

/* --- choosing ------------------------------------------------------------- */

/* SSL_CTX_set_cert_cb(3): 1, or 0 for an alert. */
static int choose(SSL *ssl, void *user)
{
    SSL_CTX *pair = find(user, SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name));
    STACK_OF(X509) *chain = NULL;
    SSL_CTX_get0_chain_certs(pair, &chain);
    return SSL_use_cert_and_key(ssl, SSL_CTX_get0_certificate(pair), SSL_CTX_get0_privatekey(pair),
                                chain, 1) == 1;
}

void tls_certificates_install(struct tls_certificates *certificates, SSL_CTX *ssl)
{
    SSL_CTX_set_cert_cb(ssl, choose, certificates);
}

/* --- life ----------------------------------------------------------------- */

static struct tls_certificates *new_certificates(size_t capacity)
{
    struct tls_certificates *certificates =
        calloc(1, sizeof *certificates + capacity * sizeof certificates->pairs[0]);
    if (certificates)
        atomic_init(&certificates->references, 1);
    return certificates;
}

struct tls_certificates *tls_certificates_ref(struct tls_certificates *certificates)
{
    atomic_fetch_add_explicit(&certificates->references, 1, memory_order_relaxed);
    return certificates;
}

void tls_certificates_unref(struct tls_certificates *certificates)
{
    struct name *name, *next;
    if (!certificates ||
        atomic_fetch_sub_explicit(&certificates->references, 1, memory_order_acq_rel) > 1)
        return;
    HASH_ITER(hh, certificates->names, name, next)
    {
        HASH_DEL(certificates->names, name);
        free(name);
    }
    for (size_t i = 0; i < certificates->count; i++)
        SSL_CTX_free(certificates->pairs[i]);
    free(certificates);
}

static int add_pair(struct tls_certificates *certificates, const struct tls_certificate_file *files,
                    char *error, size_t size)
{
    ERR_clear_error();
    SSL_CTX *pair = SSL_CTX_new(TLS_server_method());
    if (!pair)
        return tls_error_say(error, size, "TLS", NULL, "out of memory");
    if (tls_pair_load(pair, files, error, size) < 0) {
        SSL_CTX_free(pair);
        return -1;
    }
    certificates->pairs[certificates->count++] = pair;
    if (add_names(certificates, pair) < 0)
        return tls_error_say(error, size, "TLS", NULL, "out of memory");
    return 0;
}

int tls_certificates_new(const struct tls_certificate_file *files, size_t count,
                         struct tls_certificates **ret_certificates, char *error, size_t error_size)
{
    return tls_certificates_load(files, count, NULL, ret_certificates, error, error_size);
}

/* Of `files` those that are spare, or the others. */
static int add_files(struct tls_certificates *certificates,
                     const struct tls_certificate_file *files, size_t count, bool spare,
                     char *error, size_t size)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < count; i++)
        if (files[i].is_spare == spare)
            result = add_pair(certificates, &files[i], error, size);
    return result;
}

/* A spare one isn't to take the place of what was put into the folder and is broken. */
static int add_folder(struct tls_certificates *certificates, const char *path,
                      const struct tls_folder *folder, char *error, size_t size)
{
    for (size_t i = 0; i < folder->count; i++) {
        const struct tls_certificate_file pair = {.certificate_file = folder->pairs[i].certificate,
                                                  .key_file = folder->pairs[i].key};
        char fault[512];
        if (add_pair(certificates, &pair, fault, sizeof fault) < 0)
            log_write(LOG_WARNING, LOG_NO_FIELDS, "%s: left out", fault);
    }
    if (!folder->count || certificates->count)
        return 0;
    return tls_error_say(error, size, "certificates", path, "there is none to use");
}

int tls_certificates_load(const struct tls_certificate_file *files, size_t count,
                          const char *folder, struct tls_certificates **ret_certificates,
                          char *error, size_t error_size)
{
    struct tls_folder found = {0};
    if (folder && tls_folder_scan(folder, &found, error, error_size) < 0)
        return -1;
    struct tls_certificates *certificates = new_certificates(count + found.count);
    int result = certificates ? 0 : tls_error_say(error, error_size, "TLS", NULL, "out of memory");
    if (result == 0)
        result = add_files(certificates, files, count, false, error, error_size);
    if (result == 0)
        result = add_folder(certificates, folder, &found, error, error_size);
    if (result == 0)
        result = add_files(certificates, files, count, true, error, error_size);
    if (result == 0 && !certificates->count)
        result = tls_error_say(error, error_size, "certificates", folder, "there is none to use");
    tls_folder_deinit(&found);
    if (result < 0)
        tls_certificates_unref(certificates);
    else
        *ret_certificates = certificates;
    return result;
}
