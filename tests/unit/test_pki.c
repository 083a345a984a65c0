/* The local CA and the server's certificate of the first run. */
#include "net_test.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

static char error[512];

static X509 *load(const char *folder, const char *name)
{
    FILE *stream = fopen(test_path(folder, name), "r");
    assert_non_null(stream);
    X509 *certificate = PEM_read_X509(stream, NULL, NULL, NULL);
    fclose(stream);
    assert_non_null(certificate);
    return certificate;
}

static void ensure(const char *folder, const char *name_1, const char *name_2)
{
    const char *const names[] = {name_1, name_2};
    error[0] = 0;
    if (pki_ensure_server(folder, names, name_2 ? 2 : 1, error, sizeof error) < 0)
        fail_msg("%s", error);
}

static void fingerprint(const char *folder, const char *name, char hex[65])
{
    assert_int_equal(pki_fingerprint(test_path(folder, name), hex), 0);
    assert_int_equal(strlen(hex), 64);
}

static mode_t mode_of(const char *path)
{
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    return status.st_mode & 0777;
}

static void test_makes_the_folder_and_keeps_keys_to_itself(void **state)
{
    char *parent = test_folder(), folder[300];
    snprintf(folder, sizeof folder, "%s/state", parent);
    ensure(folder, "localhost", NULL);
    assert_int_equal(mode_of(folder), 0700);
    assert_int_equal(mode_of(test_path(folder, "ca.key")), 0600);
    assert_int_equal(mode_of(test_path(folder, "server.key")), 0600);
    test_remove_folder(strdup(folder));
    test_remove_folder(parent);
}

static void test_certificate_is_of_the_ca_and_for_its_names(void **state)
{
    char *folder = test_folder();
    ensure(folder, "tunnel.example.test", "192.0.2.7");
    X509 *ca = load(folder, "ca.pem"), *server = load(folder, "server.pem");
    assert_int_equal(X509_verify(server, X509_get0_pubkey(ca)), 1);
    assert_int_equal(X509_check_ca(ca), 1);
    assert_int_equal(X509_check_ca(server), 0);
    assert_int_equal(X509_check_purpose(server, X509_PURPOSE_SSL_SERVER, 0), 1);
    assert_int_equal(X509_check_host(server, "tunnel.example.test", 0, 0, NULL), 1);
    assert_int_equal(X509_check_host(server, "example.test", 0, 0, NULL), 0);
    assert_int_equal(X509_check_ip_asc(server, "192.0.2.7", 0), 1);
    int days, seconds;
    assert_int_equal(ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(server)), 1);
    assert_in_range(days, 395, 397);
    assert_int_equal(ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(ca)), 1);
    assert_in_range(days, 3649, 3653);
    X509_free(ca);
    X509_free(server);
    test_remove_folder(folder);
}

static void test_what_exists_is_kept(void **state)
{
    char *folder = test_folder(), ca[65], server[65], again[65];
    ensure(folder, "localhost", "*.example.test");
    fingerprint(folder, "ca.pem", ca);
    fingerprint(folder, "server.pem", server);
    ensure(folder, "localhost", "*.example.test");
    ensure(folder, "localhost", NULL);
    fingerprint(folder, "server.pem", again);
    assert_string_equal(again, server);
    ensure(folder, "other.test", NULL); /* a name more: a new certificate, the same CA */
    fingerprint(folder, "server.pem", again);
    assert_string_not_equal(again, server);
    fingerprint(folder, "ca.pem", again);
    assert_string_equal(again, ca);
    test_remove_folder(folder);
}

/* What a board of 2014 can use: RSA all the way, and a key that may encipher. */
static void test_rsa_for_clients_without_ecdhe(void **state)
{
    char *folder = test_folder(), before[65], after[65];
    const char *const names[] = {"localhost", "192.0.2.7"};
    for (int i = 0; i < 2; i++) { /* the second time it is there already */
        assert_int_equal(pki_ensure_rsa_server(folder, names, 2, error, sizeof error), 0);
        fingerprint(folder, "server.pem", i ? after : before);
    }
    assert_string_equal(before, after);
    X509 *ca = load(folder, "ca.pem"), *server = load(folder, "server.pem");
    assert_int_equal(X509_verify(server, X509_get0_pubkey(ca)), 1);
    for (int i = 0; i < 2; i++) {
        X509 *certificate = i ? server : ca;
        assert_int_equal(EVP_PKEY_get_base_id(X509_get0_pubkey(certificate)), EVP_PKEY_RSA);
        assert_int_equal(EVP_PKEY_get_bits(X509_get0_pubkey(certificate)), 2048);
        assert_int_equal(X509_get_signature_nid(certificate), NID_sha256WithRSAEncryption);
        assert_int_equal(X509_get_version(certificate), X509_VERSION_3);
    }
    assert_true(X509_get_key_usage(server) & KU_KEY_ENCIPHERMENT);
    assert_int_equal(X509_check_ip_asc(server, "192.0.2.7", 0), 1);
    assert_int_equal(mode_of(test_path(folder, "server.key")), 0600);
    X509_free(ca);
    X509_free(server);
    test_remove_folder(folder);
}

static void test_is_rsa(void **state)
{
    char *folder = test_folder();
    const char *const names[] = {"localhost"};
    assert_false(pki_is_rsa(test_path(folder, "server.pem")));
    ensure(folder, "localhost", NULL);
    assert_false(pki_is_rsa(test_path(folder, "server.pem")));
    for (int i = 0; i < 4; i++)
        unlink(test_path(
            folder, ((const char *const[]){"ca.pem", "ca.key", "server.pem", "server.key"})[i]));
    assert_int_equal(pki_ensure_rsa_server(folder, names, 1, error, sizeof error), 0);
    assert_true(pki_is_rsa(test_path(folder, "server.pem")));
    test_remove_folder(folder);
}

/* As after a crash between the two renames: the key is new, the certificate is not. */
static void test_mismatched_pair_is_made_anew(void **state)
{
    char *folder = test_folder(), before[65], after[65];
    ensure(folder, "localhost", NULL);
    fingerprint(folder, "server.pem", before);
    assert_int_equal(unlink(test_path(folder, "server.key")), 0);
    assert_int_equal(link(test_path(folder, "ca.key"), test_path(folder, "server.key")), 0);
    ensure(folder, "localhost", NULL);
    fingerprint(folder, "server.pem", after);
    assert_string_not_equal(before, after);
    test_remove_folder(folder);
}

static void resign_with_end(const char *folder, long seconds)
{
    X509 *server = load(folder, "server.pem");
    FILE *stream = fopen(test_path(folder, "ca.key"), "r");
    EVP_PKEY *key = PEM_read_PrivateKey(stream, NULL, NULL, NULL);
    fclose(stream);
    X509_gmtime_adj(X509_getm_notAfter(server), seconds);
    assert_true(X509_sign(server, key, EVP_sha256()) > 0);
    stream = fopen(test_path(folder, "server.pem"), "w");
    PEM_write_X509(stream, server);
    fclose(stream);
    EVP_PKEY_free(key);
    X509_free(server);
}

static void test_certificate_is_renewed_a_month_before_its_end(void **state)
{
    char *folder = test_folder(), before[65], after[65];
    ensure(folder, "localhost", NULL);
    resign_with_end(folder, 31 * 86400L);
    fingerprint(folder, "server.pem", before);
    ensure(folder, "localhost", NULL);
    fingerprint(folder, "server.pem", after);
    assert_string_equal(before, after);
    resign_with_end(folder, 29 * 86400L);
    fingerprint(folder, "server.pem", before);
    ensure(folder, "localhost", NULL);
    fingerprint(folder, "server.pem", after);
    assert_string_not_equal(before, after);
    test_remove_folder(folder);
}

static void assert_refused(const char *folder, const char *name, const char *reason)
{
    const char *const names[] = {name};
    error[0] = 0;
    assert_int_equal(pki_ensure_server(folder, names, 1, error, sizeof error), -1);
    if (!strstr(error, reason))
        fail_msg("\"%s\" doesn't say \"%s\"", error, reason);
}

static void test_says_what_is_wrong(void **state)
{
    char *folder = test_folder();
    assert_refused("/proc/none", "localhost", "/proc/none");
    assert_refused(folder, "a,DNS:b", "a,DNS:b");
    assert_refused(folder, "", "not a DNS name");
    FILE *stream = fopen(test_path(folder, "ca.pem"), "w");
    fputs("damaged\n", stream);
    fclose(stream);
    assert_refused(folder, "localhost", "ca.pem"); /* never replaced: devices trust it */
    assert_int_equal(unlink(test_path(folder, "ca.key")), 0);
    assert_refused(folder, "localhost", "ca.key is missing");
    char hex[65];
    assert_int_equal(pki_fingerprint(test_path(folder, "ca.pem"), hex), -1);
    test_remove_folder(folder);
}

static void test_digest_and_comparison(void **state)
{
    static const unsigned char abc[4] = {0xba, 0x78, 0x16, 0xbf};
    unsigned char digest[32], a[16] = {0}, b[16] = {0};
    pki_sha256("abc", 3, digest);
    assert_memory_equal(digest, abc, 4);
    assert_true(pki_equal("abc", "abd", 2));
    assert_false(pki_equal("abc", "abd", 3));
    assert_int_equal(pki_random(a, sizeof a), 0);
    assert_int_equal(pki_random(b, sizeof b), 0);
    assert_memory_not_equal(a, b, sizeof a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_makes_the_folder_and_keeps_keys_to_itself),
        cmocka_unit_test(test_certificate_is_of_the_ca_and_for_its_names),
        cmocka_unit_test(test_what_exists_is_kept),
        cmocka_unit_test(test_rsa_for_clients_without_ecdhe),
        cmocka_unit_test(test_is_rsa),
        cmocka_unit_test(test_mismatched_pair_is_made_anew),
        cmocka_unit_test(test_certificate_is_renewed_a_month_before_its_end),
        cmocka_unit_test(test_says_what_is_wrong),
        cmocka_unit_test(test_digest_and_comparison),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
