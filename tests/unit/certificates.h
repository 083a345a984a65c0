/* Certificates for visitors, of CAs that a test makes up. */
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "net_test.h"

struct test_ca {
    EVP_PKEY *key;
    X509 *certificate;
    char *pem;
};

static inline X509 *test_make_certificate(const char *name, EVP_PKEY *key, const struct test_ca *ca)
{
    X509 *certificate = X509_new();
    X509_NAME *subject = X509_get_subject_name(certificate);
    static long serial;
    assert_int_equal(X509_set_version(certificate, 2), 1);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    assert_int_equal(X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_UTF8,
                                                (const unsigned char *)"Tests", -1, -1, 0),
                     1);
    assert_int_equal(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                                                (const unsigned char *)name, -1, -1, 0),
                     1);
    X509_set_issuer_name(certificate, ca ? X509_get_subject_name(ca->certificate) : subject);
    X509_set_pubkey(certificate, key);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints,
                                                    ca ? "critical,CA:FALSE" : "critical,CA:TRUE");
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
    assert_true(X509_sign(certificate, ca ? ca->key : key, EVP_sha256()) > 0);
    return certificate;
}

static inline void test_ca_init(struct test_ca *ca, const char *name)
{
    char *text;
    ca->key = EVP_EC_gen("P-256");
    assert_non_null(ca->key);
    ca->certificate = test_make_certificate(name, ca->key, NULL);
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_X509(bio, ca->certificate), 1);
    long length = BIO_get_mem_data(bio, &text);
    ca->pem = strndup(text, (size_t)length);
    BIO_free(bio);
}

static inline void test_ca_deinit(struct test_ca *ca)
{
    EVP_PKEY_free(ca->key);
    X509_free(ca->certificate);
    free(ca->pem);
}

/* A certificate and its key in files. */
static inline void test_ca_issue(const struct test_ca *ca, const char *name, const char *pem_file,
                                 const char *key_file)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = test_make_certificate(name, key, ca);
    FILE *stream = fopen(pem_file, "w");
    assert_int_equal(PEM_write_X509(stream, certificate), 1);
    fclose(stream);
    stream = fopen(key_file, "w");
    assert_int_equal(PEM_write_PrivateKey(stream, key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(stream);
    X509_free(certificate);
    EVP_PKEY_free(key);
}
