#include "net/pki.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>
#include <time.h>

#define DAY          86400L
#define CA_DAYS      3652L
#define SERVER_DAYS  397L /* what browsers take at most */
#define RENEW_DAYS   30L
#define BACKDATE     3600L /* for devices whose clock is behind */
#define SERIAL_BYTES 16
#define NAMES_SIZE   8192
#define RSA_BITS     2048 /* what the boards of 2014 verify in bearable time */

enum kind { KIND_EC, KIND_RSA };

struct issuer {
    X509 *certificate;
    EVP_PKEY *key;
    enum kind kind; /* of keys made: the CA's, the server's */
};

static int say(char *error, size_t size, const char *what, const char *path, const char *why)
{
    snprintf(error, size, "can't %s %s: %s", what, path, why);
    ERR_clear_error();
    return -1;
}

static int make_path(char path[PATH_MAX], const char *folder, const char *name)
{
    return snprintf(path, PATH_MAX, "%s/%s", folder, name) < PATH_MAX ? 0 : -1;
}

/* --- files ---------------------------------------------------------------- */

struct pem {
    EVP_PKEY *key;         /* or */
    X509 *certificates[2]; /* the leaf first, then its issuer or NULL */
};

static int write_pem(FILE *stream, const struct pem *pem)
{
    if (pem->key && PEM_write_PrivateKey(stream, pem->key, NULL, NULL, 0, NULL, NULL) != 1)
        return -1;
    for (int i = 0; i < 2 && pem->certificates[i]; i++)
        if (PEM_write_X509(stream, pem->certificates[i]) != 1)
            return -1;
    return fflush(stream) == 0 && fsync(fileno(stream)) == 0 ? 0 : -1;
}

/* Written aside and renamed: whoever reads the file sees the old one or the whole new one. */
static int save(const char *path, const struct pem *pem, char *error, size_t size)
{
    char aside[PATH_MAX];
    if (snprintf(aside, sizeof aside, "%s.new", path) >= (int)sizeof aside)
        return say(error, size, "write", path, "path too long");
    (void)unlink(aside); /* left by a crash, perhaps with other rights */
    int fd = open(aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    FILE *stream = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (!stream) {
        if (fd >= 0)
            close(fd);
        return say(error, size, "write", aside, strerror(errno));
    }
    errno = 0;
    int result = write_pem(stream, pem);
    if (fclose(stream) != 0)
        result = -1;
    if (result == 0 && rename(aside, path) == 0)
        return 0;
    const char *why = errno ? strerror(errno) : "OpenSSL failed";
    (void)unlink(aside);
    return say(error, size, "write", path, why);
}

static int no_passphrase(char *buffer, int size, int writing, void *user)
{
    return -1;
}

static X509 *load_certificate(const char *path)
{
    FILE *stream = fopen(path, "re");
    if (!stream)
        return NULL;
    X509 *certificate = PEM_read_X509(stream, NULL, no_passphrase, NULL);
    fclose(stream);
    ERR_clear_error();
    return certificate;
}

static EVP_PKEY *load_key(const char *path)
{
    FILE *stream = fopen(path, "re");
    if (!stream)
        return NULL;
    EVP_PKEY *key = PEM_read_PrivateKey(stream, NULL, no_passphrase, NULL);
    fclose(stream);
    ERR_clear_error();
    return key;
}

static int sync_folder(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    int result = fsync(fd);
    close(fd);
    return result;
}

/* --- certificates --------------------------------------------------------- */

static EVP_PKEY *make_key(enum kind kind)
{
    return kind == KIND_RSA ? EVP_RSA_gen(RSA_BITS) : EVP_EC_gen("P-256");
}

static int set_serial(X509 *certificate)
{
    unsigned char bytes[SERIAL_BYTES];
    if (RAND_bytes(bytes, sizeof bytes) != 1)
        return -1;
    bytes[0] = (unsigned char)((bytes[0] & 0x7f) | 0x40); /* positive, and of full length */
    BIGNUM *number = BN_bin2bn(bytes, sizeof bytes, NULL);
    int ok = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
    BN_free(number);
    return ok ? 0 : -1;
}

static int add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    if (!extension)
        return -1;
    int ok = X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
    return ok ? 0 : -1;
}

static int set_subject(X509 *certificate, const char *common_name)
{
    X509_NAME *name = X509_get_subject_name(certificate);
    return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)common_name,
                                      -1, -1, 0) == 1
               ? 0
               : -1;
}

static X509 *new_certificate(EVP_PKEY *key, const char *common_name, long days)
{
    X509 *certificate = X509_new();
    if (certificate && X509_set_version(certificate, X509_VERSION_3) &&
        set_serial(certificate) == 0 &&
        X509_gmtime_adj(X509_getm_notBefore(certificate), -BACKDATE) &&
        X509_gmtime_adj(X509_getm_notAfter(certificate), days * DAY - BACKDATE - 1) &&
        X509_set_pubkey(certificate, key) && set_subject(certificate, common_name) == 0)
        return certificate;
    X509_free(certificate);
    return NULL;
}

/* subjectAltName as OpenSSL's configuration language writes it. */
static int format_names(const char *const *names, size_t count, char *text, size_t size,
                        const char **ret_bad)
{
    size_t used = 0;
    unsigned char bytes[16];
    for (size_t i = 0; i < count; i++) {
        const char *name = names[i];
        bool is_ip = inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
        *ret_bad = name;
        /* nothing that could begin another entry */
        if (!*name || (!is_ip && strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                              "0123456789.-_*") != strlen(name)))
            return -1;
        int length =
            snprintf(text + used, size - used, "%s%s:%s", i ? "," : "", is_ip ? "IP" : "DNS", name);
        if (length < 0 || (size_t)length >= size - used)
            return -1;
        used += (size_t)length;
    }
    return 0;
}

static X509 *make_ca(EVP_PKEY *key)
{
    X509 *ca = new_certificate(key, "streamplex local CA", CA_DAYS);
    if (ca && X509_set_issuer_name(ca, X509_get_subject_name(ca)) &&
        add_extension(ca, ca, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") == 0 &&
        add_extension(ca, ca, NID_key_usage, "critical,keyCertSign,cRLSign") == 0 &&
        add_extension(ca, ca, NID_subject_key_identifier, "hash") == 0 &&
        X509_sign(ca, key, EVP_sha256()))
        return ca;
    X509_free(ca);
    return NULL;
}

static X509 *make_server(const struct issuer *ca, EVP_PKEY *key, const char *names)
{
    /* In RSA key exchange the client enciphers a secret with the certificate's key. */
    const char *usage = EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA
                            ? "critical,digitalSignature,keyEncipherment"
                            : "critical,digitalSignature";
    X509 *server = new_certificate(key, "streamplex server", SERVER_DAYS);
    if (server && X509_set_issuer_name(server, X509_get_subject_name(ca->certificate)) &&
        add_extension(server, ca->certificate, NID_basic_constraints, "critical,CA:FALSE") == 0 &&
        add_extension(server, ca->certificate, NID_key_usage, usage) == 0 &&
        add_extension(server, ca->certificate, NID_ext_key_usage, "serverAuth") == 0 &&
        add_extension(server, ca->certificate, NID_subject_key_identifier, "hash") == 0 &&
        add_extension(server, ca->certificate, NID_authority_key_identifier, "keyid") == 0 &&
        add_extension(server, ca->certificate, NID_subject_alt_name, names) == 0 &&
        X509_sign(server, ca->key, EVP_sha256()))
        return server;
    X509_free(server);
    return NULL;
}

/* --- what exists already -------------------------------------------------- */

static int ensure_ca(const char *folder, struct issuer *ca, char *error, size_t size)
{
    char certificate_path[PATH_MAX], key_path[PATH_MAX];
    if (make_path(certificate_path, folder, "ca.pem") < 0 ||
        make_path(key_path, folder, "ca.key") < 0)
        return say(error, size, "use", folder, "path too long");
    bool exists = access(certificate_path, F_OK) == 0 && access(key_path, F_OK) == 0;
    if (exists) {
        ca->certificate = load_certificate(certificate_path);
        ca->key = load_key(key_path);
        /* never replaced by itself: devices trust it already */
        if (!ca->certificate || !ca->key)
            return say(error, size, "read", ca->certificate ? key_path : certificate_path,
                       "unreadable or no PEM; repair it, or remove ca.pem and ca.key for a new CA");
        if (X509_check_private_key(ca->certificate, ca->key) != 1)
            return say(error, size, "use", key_path, "it isn't the key of ca.pem");
        return 0;
    }
    if (access(certificate_path, F_OK) == 0)
        return say(error, size, "use", certificate_path, "its key ca.key is missing");
    ca->key = make_key(ca->kind);
    ca->certificate = ca->key ? make_ca(ca->key) : NULL;
    if (!ca->certificate)
        return say(error, size, "make", certificate_path, "OpenSSL failed");
    if (save(key_path, &(struct pem){.key = ca->key}, error, size) < 0)
        return -1;
    return save(certificate_path, &(struct pem){.certificates = {ca->certificate}}, error, size);
}

static bool has_dns_name(X509 *certificate, const char *name)
{
    GENERAL_NAMES *alternatives = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    bool found = false;
    for (int i = 0; i < sk_GENERAL_NAME_num(alternatives) && !found; i++) {
        const GENERAL_NAME *alternative = sk_GENERAL_NAME_value(alternatives, i);
        const ASN1_STRING *text = alternative->d.dNSName;
        found = alternative->type == GEN_DNS && (size_t)ASN1_STRING_length(text) == strlen(name) &&
                strncasecmp((const char *)ASN1_STRING_get0_data(text), name, strlen(name)) == 0;
    }
    GENERAL_NAMES_free(alternatives);
    return found;
}

static bool covers(X509 *certificate, const char *name)
{
    unsigned char bytes[16];
    if (inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1)
        return X509_check_ip_asc(certificate, name, 0) == 1;
    if (name[0] == '*') /* OpenSSL matches hosts against wildcards, not wildcards */
        return has_dns_name(certificate, name);
    return X509_check_host(certificate, name, 0, 0, NULL) == 1;
}

/* Is the server's certificate still good: of this CA, with its key, for these names, for 30 days
 * more? */
static bool is_current(const struct issuer *ca, const char *certificate_path, const char *key_path,
                       const char *const *names, size_t name_count)
{
    X509 *certificate = load_certificate(certificate_path);
    EVP_PKEY *key = load_key(key_path), *ca_key = X509_get0_pubkey(ca->certificate);
    time_t limit = time(NULL) + RENEW_DAYS * DAY;
    bool current = certificate && key && X509_check_private_key(certificate, key) == 1 &&
                   X509_verify(certificate, ca_key) == 1 &&
                   X509_cmp_time(X509_get0_notAfter(certificate), &limit) > 0;
    for (size_t i = 0; current && i < name_count; i++)
        current = covers(certificate, names[i]);
    X509_free(certificate);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return current;
}

static int ensure_server(const char *folder, const struct issuer *ca, const char *const *names,
                         size_t name_count, char *error, size_t size)
{
    char certificate_path[PATH_MAX], key_path[PATH_MAX], alternatives[NAMES_SIZE];
    const char *bad = "";
    if (make_path(certificate_path, folder, "server.pem") < 0 ||
        make_path(key_path, folder, "server.key") < 0)
        return say(error, size, "use", folder, "path too long");
    if (is_current(ca, certificate_path, key_path, names, name_count))
        return 0;
    if (format_names(names, name_count, alternatives, sizeof alternatives, &bad) < 0)
        return say(error, size, "make a certificate for", bad, "not a DNS name or an IP address");
    EVP_PKEY *key = make_key(ca->kind);
    X509 *certificate = key ? make_server(ca, key, alternatives) : NULL;
    int result = -1;
    if (!certificate)
        (void)say(error, size, "make", certificate_path, "OpenSSL failed");
    else if (save(key_path, &(struct pem){.key = key}, error, size) == 0)
        result = save(certificate_path,
                      &(struct pem){.certificates = {certificate, ca->certificate}}, error, size);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return result;
}

static int ensure(enum kind kind, const char *ca_folder, const char *folder,
                  const char *const *names, size_t name_count, char *error, size_t error_size)
{
    struct issuer ca = {.kind = kind};
    if (name_count == 0)
        return say(error, error_size, "make a certificate in", folder, "no names");
    if (mkdir(ca_folder, 0700) < 0 && errno != EEXIST)
        return say(error, error_size, "make", ca_folder, strerror(errno));
    if (mkdir(folder, 0700) < 0 && errno != EEXIST)
        return say(error, error_size, "make", folder, strerror(errno));
    int result = ensure_ca(ca_folder, &ca, error, error_size);
    if (result == 0)
        result = ensure_server(folder, &ca, names, name_count, error, error_size);
    if (result == 0) {
        (void)sync_folder(ca_folder);
        (void)sync_folder(folder);
    }
    X509_free(ca.certificate);
    EVP_PKEY_free(ca.key);
    return result;
}

int pki_ensure_server(const char *folder, const char *const *names, size_t name_count, char *error,
                      size_t error_size)
{
    return ensure(KIND_EC, folder, folder, names, name_count, error, error_size);
}

int pki_ensure_server_of(const char *ca_folder, const char *folder, const char *const *names,
                         size_t name_count, char *error, size_t error_size)
{
    return ensure(KIND_EC, ca_folder, folder, names, name_count, error, error_size);
}

int pki_ensure_rsa_server(const char *folder, const char *const *names, size_t name_count,
                          char *error, size_t error_size)
{
    return ensure(KIND_RSA, folder, folder, names, name_count, error, error_size);
}

/* --- facts, digests, randomness -------------------------------------------------- */

bool pki_is_rsa(const char *certificate_file)
{
    X509 *certificate = load_certificate(certificate_file);
    EVP_PKEY *key = certificate ? X509_get0_pubkey(certificate) : NULL;
    bool is_rsa = key && EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA;
    X509_free(certificate);
    return is_rsa;
}

int pki_fingerprint(const char *certificate_file, char ret_hex[65])
{
    unsigned char digest[32];
    unsigned size = sizeof digest;
    X509 *certificate = load_certificate(certificate_file);
    if (!certificate)
        return -1;
    int ok = X509_digest(certificate, EVP_sha256(), digest, &size);
    X509_free(certificate);
    if (ok != 1)
        return -1;
    for (int i = 0; i < 32; i++)
        snprintf(ret_hex + 2 * i, 3, "%02x", digest[i]);
    return 0;
}

int pki_random(void *bytes, size_t size)
{
    return size <= INT_MAX && RAND_priv_bytes(bytes, (int)size) == 1 ? 0 : -1;
}

void pki_sha256(const void *bytes, size_t size, unsigned char ret_digest[32])
{
    SHA256(bytes, size, ret_digest);
}

_Bool pki_equal(const void *a, const void *b, size_t size)
{
    return CRYPTO_memcmp(a, b, size) == 0;
}
