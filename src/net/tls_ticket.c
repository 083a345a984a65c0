#include "net/tls_ticket.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

/* A stolen key opens the sessions of TLS 1.2 that were resumed under it; hence its short life (RFC
 * 5077 section 5.5). */
#define KEY_SECONDS (12 * 3600)
/* A ticket lives as long as its key is sure to be known: until the key is renewed, and one life
 * more. */
#define TICKET_SECONDS KEY_SECONDS

struct key {
    unsigned char name[16];
    unsigned char cipher[32];
    unsigned char mac[32];
};

/* Handshakes alone take the mutex. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct key keys[2]; /* the present one, and the one before */
static int key_count;
static time_t renewed;

static time_t monotonic_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return now.tv_sec;
}

static int renew(void)
{
    struct key key;
    if (RAND_bytes(key.name, sizeof key.name) != 1 ||
        RAND_priv_bytes(key.cipher, sizeof key.cipher) != 1 ||
        RAND_priv_bytes(key.mac, sizeof key.mac) != 1)
        return -1;
    keys[1] = keys[0];
    keys[0] = key;
    key_count = key_count ? 2 : 1;
    renewed = monotonic_seconds();
    OPENSSL_cleanse(&key, sizeof key);
    return 0;
}

static int renew_if_old(void)
{
    time_t age = monotonic_seconds() - renewed;
    if (key_count && age < KEY_SECONDS)
        return 0;
    if (key_count &&
        age >=
            2 * KEY_SECONDS) /* an idle process: the last key has outlived its second life, too */
        key_count = 0;
    return renew();
}

int tls_ticket_renew(void)
{
    pthread_mutex_lock(&mutex);
    int result = renew();
    pthread_mutex_unlock(&mutex);
    return result;
}

static int present_key(struct key *ret_key)
{
    pthread_mutex_lock(&mutex);
    int result = renew_if_old();
    if (result == 0)
        *ret_key = keys[0];
    pthread_mutex_unlock(&mutex);
    return result;
}

/* The key's index, -1 when it isn't known (any more). */
static int find_key(const unsigned char *name, struct key *ret_key)
{
    int found = -1;
    pthread_mutex_lock(&mutex);
    if (renew_if_old() == 0)
        for (int i = 0; i < key_count && found < 0; i++)
            if (memcmp(keys[i].name, name, sizeof keys[i].name) == 0)
                found = i;
    if (found >= 0)
        *ret_key = keys[found];
    pthread_mutex_unlock(&mutex);
    return found;
}

static int set_key(const struct key *key, const unsigned char *iv, EVP_CIPHER_CTX *cipher,
                   EVP_MAC_CTX *mac, int encrypt)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)key->mac, sizeof key->mac),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher, iv, encrypt) == 1 &&
                   EVP_MAC_CTX_set_params(mac, params) == 1
               ? 0
               : -1;
}

/* SSL_CTX_set_tlsext_ticket_key_evp_cb(3): -1 failure, 0 no such key, 1 good, 2 good but give out a
 * new ticket. */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int encrypt)
{
    struct key key;
    int index = 0;
    if (encrypt) {
        if (present_key(&key) < 0 ||
            RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1)
            return -1;
        memcpy(name, key.name, sizeof key.name);
    } else {
        index = find_key(name, &key);
        if (index < 0)
            return 0;
    }
    int result = set_key(&key, iv, cipher, mac, encrypt);
    OPENSSL_cleanse(&key, sizeof key);
    if (result < 0)
        return -1;
    return !encrypt && (index > 0 || SSL_version(ssl) >= TLS1_3_VERSION) ? 2 : 1;
}

int tls_ticket_install(SSL_CTX *ssl)
{
    struct key key;
    if (present_key(&key) < 0)
        return -1;
    OPENSSL_cleanse(&key, sizeof key);
    SSL_CTX_set_timeout(ssl, TICKET_SECONDS);
    return SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl, on_ticket) ? 0 : -1;
}
