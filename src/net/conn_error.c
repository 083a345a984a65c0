/* What went wrong on a connection, in the names that peers and logs know: errno's own, and those
 * that Node gives to OpenSSL's verification results, because devices match on them. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <string.h>

#include "net/conn_internal.h"

#define NAME(name)                                                                                 \
    {                                                                                              \
        X509_V_ERR_##name, #name                                                                   \
    }

static const struct {
    int code;
    const char *name;
} verify_names[] = {
    NAME(UNABLE_TO_GET_ISSUER_CERT),
    NAME(UNABLE_TO_DECRYPT_CERT_SIGNATURE),
    NAME(UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY),
    NAME(CERT_SIGNATURE_FAILURE),
    NAME(CERT_NOT_YET_VALID),
    NAME(CERT_HAS_EXPIRED),
    NAME(ERROR_IN_CERT_NOT_BEFORE_FIELD),
    NAME(ERROR_IN_CERT_NOT_AFTER_FIELD),
    NAME(DEPTH_ZERO_SELF_SIGNED_CERT),
    NAME(SELF_SIGNED_CERT_IN_CHAIN),
    NAME(UNABLE_TO_GET_ISSUER_CERT_LOCALLY),
    NAME(UNABLE_TO_VERIFY_LEAF_SIGNATURE),
    NAME(CERT_CHAIN_TOO_LONG),
    NAME(CERT_REVOKED),
    NAME(INVALID_CA),
    NAME(PATH_LENGTH_EXCEEDED),
    NAME(INVALID_PURPOSE),
    NAME(CERT_UNTRUSTED),
    NAME(CERT_REJECTED),
    {X509_V_ERR_HOSTNAME_MISMATCH, "ERR_TLS_CERT_ALTNAME_INVALID"},
    {X509_V_ERR_IP_ADDRESS_MISMATCH, "ERR_TLS_CERT_ALTNAME_INVALID"},
};

static const char *verify_name(int code)
{
    for (size_t i = 0; i < sizeof verify_names / sizeof verify_names[0]; i++)
        if (verify_names[i].code == code)
            return verify_names[i].name;
    return "CERT_INVALID";
}

int conn_error(const struct conn *conn)
{
    return conn->error;
}

const char *conn_error_code(const struct conn *conn)
{
    if (conn->verify_error != X509_V_OK)
        return verify_name(conn->verify_error);
    const char *name = strerrorname_np(-conn->error);
    return name && conn->error ? name : "EUNKNOWN";
}

const char *conn_error_text(const struct conn *conn)
{
    const char *text = NULL;
    if (conn->verify_error != X509_V_OK)
        text = X509_verify_cert_error_string(conn->verify_error);
    else if (conn->error == -EPROTO && conn->tls_error)
        text = ERR_reason_error_string(conn->tls_error);
    else if (conn->error)
        text = strerrordesc_np(-conn->error);
    return text ? text : "unknown error";
}
