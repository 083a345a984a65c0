/* A certificate chain and its private key, from their files. */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

#include "net/tls_internal.h"

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
    FILE *stream = tls_error_open("certificate", file, error, size);
    if (!stream)
        return -1;
    fclose(stream);
    if (SSL_CTX_use_certificate_chain_file(ssl, file) == 1)
        return 0;
    /* the first error is the cause, those after it are of the callers */
    if (ERR_GET_REASON(ERR_peek_error()) == PEM_R_NO_START_LINE)
        return tls_error_say(error, size, "certificate", file, "no PEM certificate in it");
    return tls_error_say(error, size, "certificate", file, tls_error_reason());
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

static int load_key(SSL_CTX *ssl, const struct tls_certificate_file *files, char *error,
                    size_t size)
{
    FILE *stream = tls_error_open("private key", files->key_file, error, size);
    if (!stream)
        return -1;
    EVP_PKEY *key =
        PEM_read_PrivateKey(stream, NULL, give_passphrase, (void *)files->key_passphrase);
    fclose(stream);
    if (!key)
        return tls_error_say(error, size, "private key", files->key_file,
                             key_fault(files->key_passphrase));
    int is_used = SSL_CTX_use_PrivateKey(ssl, key);
    EVP_PKEY_free(key);
    if (is_used != 1 || SSL_CTX_check_private_key(ssl) != 1)
        return tls_error_say(error, size, "private key", files->key_file,
                             "doesn't match the certificate");
    return 0;
}

int tls_pair_load(SSL_CTX *ssl, const struct tls_certificate_file *files, char *error, size_t size)
{
    ERR_clear_error();
    return load_certificate(ssl, files->certificate_file, error, size) == 0 &&
                   load_key(ssl, files, error, size) == 0
               ? 0
               : -1;
}
