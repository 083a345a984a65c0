/* Which certificate a client is shown, where certificates come from, and whose sessions resume. */
#include "net_test.h"

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include "base/log.h"
#include "net/tls_internal.h"

static char *folder;
static char error[512];

/* --- files ------------------------------------------------------------------------ */

/* PATH.pem and PATH.key in the folder for one or two names. */
static void make_pair(const char *certificate, const char *key, const char *name_1,
                      const char *name_2, bool rsa)
{
    const char *const names[] = {name_1, name_2};
    char scratch[] = "/tmp/streamplex-test-XXXXXX";
    assert_non_null(mkdtemp(scratch));
    int (*ensure)(const char *, const char *const *, size_t, char *, size_t) =
        rsa ? pki_ensure_rsa_server : pki_ensure_server;
    if (ensure(scratch, names, name_2 ? 2 : 1, error, sizeof error) < 0)
        fail_msg("%s", error);
    assert_int_equal(rename(test_path(scratch, "server.pem"), test_path(folder, certificate)), 0);
    assert_int_equal(rename(test_path(scratch, "server.key"), test_path(folder, key)), 0);
    test_remove_folder(strdup(scratch));
}

static void write_file(const char *name, const char *text)
{
    FILE *stream = fopen(test_path(folder, name), "w");
    assert_non_null(stream);
    fputs(text, stream);
    fclose(stream);
}

static void make_folder(const char *name)
{
    assert_int_equal(mkdir(test_path(folder, name), 0700), 0);
}

/* As old ones are: no subjectAltName. */
static void make_pair_by_common_name(const char *certificate_name, const char *key_name,
                                     const char *name)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    X509_NAME *subject = X509_get_subject_name(certificate);
    X509_set_version(certificate, X509_VERSION_3);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(certificate, subject);
    X509_set_pubkey(certificate, key);
    X509_sign(certificate, key, EVP_sha256());
    FILE *stream = fopen(test_path(folder, certificate_name), "w");
    PEM_write_X509(stream, certificate);
    fclose(stream);
    stream = fopen(test_path(folder, key_name), "w");
    PEM_write_PrivateKey(stream, key, NULL, NULL, 0, NULL, NULL);
    fclose(stream);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static struct tls_certificate_file pair(const char *certificate, const char *key)
{
    return (struct tls_certificate_file){test_path(folder, certificate), test_path(folder, key),
                                         NULL};
}

/* --- a handshake in memory -------------------------------------------------------- */

static struct tls_context *new_server(struct tls_certificates *certificates, const char *id)
{
    struct tls_context *context = NULL;
    const struct tls_server_options options = {.certificates = certificates,
                                               .session_id_context = id};
    if (tls_server_new(&options, &context, error, sizeof error) < 0)
        fail_msg("%s", error);
    return context;
}

struct visit {
    SSL_CTX *client;
    SSL_SESSION *session; /* to resume, and the new one */
    int version;
};

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    struct visit *visit = SSL_get_app_data(ssl);
    SSL_SESSION_free(visit->session);
    visit->session = session;
    return 1;
}

static void visit_init(struct visit *visit, int version)
{
    *visit = (struct visit){.client = SSL_CTX_new(TLS_client_method()), .version = version};
    SSL_CTX_set_max_proto_version(visit->client, version);
    SSL_CTX_set_session_cache_mode(visit->client,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(visit->client, keep_session);
}

static void visit_deinit(struct visit *visit)
{
    SSL_SESSION_free(visit->session);
    SSL_CTX_free(visit->client);
}

/* Shakes hands, asking for a name; returns whether a session was resumed, and the certificate. */
static bool shake_hands(struct visit *visit, struct tls_context *server_context, const char *name,
                        X509 **ret_certificate)
{
    SSL *client = SSL_new(visit->client), *server = SSL_new(tls_context_ssl(server_context));
    BIO *near, *far;
    char byte;
    assert_int_equal(BIO_new_bio_pair(&near, 65536, &far, 65536), 1);
    SSL_set_bio(client, near, near);
    SSL_set_bio(server, far, far);
    SSL_set_connect_state(client);
    SSL_set_accept_state(server);
    SSL_set_app_data(client, visit);
    if (name)
        SSL_set_tlsext_host_name(client, name);
    if (visit->session)
        SSL_set_session(client, visit->session);
    for (int i = 0; i < 6; i++) {
        SSL_do_handshake(client);
        SSL_do_handshake(server);
    }
    assert_true(SSL_is_init_finished(client) && SSL_is_init_finished(server));
    assert_int_equal(SSL_read(client, &byte, 1), -1); /* takes tickets in */
    const char *seen = SSL_get_servername(server, TLSEXT_NAMETYPE_host_name);
    assert_string_equal(seen ? seen : "", name ? name : "");
    bool resumed = SSL_session_reused(client);
    if (ret_certificate)
        *ret_certificate = SSL_get1_peer_certificate(client);
    SSL_set_shutdown(client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_set_shutdown(server, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(client);
    SSL_free(server);
    return resumed;
}

/* Who asks for `name` is shown a certificate for `expected`. */
static void assert_shown(struct tls_context *server, int version, const char *name,
                         const char *expected)
{
    struct visit visit;
    X509 *certificate;
    visit_init(&visit, version);
    assert_false(shake_hands(&visit, server, name, &certificate));
    if (X509_check_host(certificate, expected, 0, 0, NULL) != 1)
        fail_msg("%s is shown another certificate than that of %s", name ? name : "nobody",
                 expected);
    X509_free(certificate);
    visit_deinit(&visit);
}

/* --- tests ------------------------------------------------------------------------ */

static void test_the_name_asked_for_chooses(void **state)
{
    make_pair("default.pem", "default.key", "first.test", NULL, false);
    make_pair("wild.pem", "wild.key", "*.example.test", "marker-wild.test", false);
    make_pair("exact.pem", "exact.key", "shop.example.test", "marker-exact.test", true);
    make_pair_by_common_name("old.pem", "old.key", "old.test");
    const struct tls_certificate_file files[] = {
        pair("default.pem", "default.key"), pair("wild.pem", "wild.key"),
        pair("exact.pem", "exact.key"), pair("old.pem", "old.key")};
    struct tls_certificates *certificates;
    assert_int_equal(tls_certificates_new(files, 4, &certificates, error, sizeof error), 0);
    struct tls_context *server = new_server(certificates, NULL);
    tls_certificates_unref(certificates); /* the context keeps its own */
    const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (int i = 0; i < 2; i++) {
        assert_shown(server, versions[i], "first.test", "first.test");
        assert_shown(server, versions[i], "any.example.test", "marker-wild.test");
        assert_shown(server, versions[i], "shop.example.test", "marker-exact.test");
        assert_shown(server, versions[i], "SHOP.Example.test", "marker-exact.test");
        assert_shown(server, versions[i], "old.test", "old.test");
        assert_shown(server, versions[i], "a.b.example.test", "first.test"); /* two labels */
        assert_shown(server, versions[i], "example.test", "first.test");
        assert_shown(server, versions[i], "nobody.test", "first.test");
        assert_shown(server, versions[i], NULL, "first.test");
    }
    tls_context_unref(server);
}

static void test_the_first_certificate_of_a_name_keeps_it(void **state)
{
    make_pair("1.pem", "1.key", "same.test", "marker-one.test", false);
    make_pair("2.pem", "2.key", "same.test", "two.test", false);
    const struct tls_certificate_file files[] = {pair("1.pem", "1.key"), pair("2.pem", "2.key")};
    struct tls_certificates *certificates;
    assert_int_equal(tls_certificates_new(files, 2, &certificates, error, sizeof error), 0);
    struct tls_context *server = new_server(certificates, NULL);
    assert_shown(server, TLS1_3_VERSION, "same.test", "marker-one.test");
    assert_shown(server, TLS1_3_VERSION, "two.test", "two.test");
    tls_certificates_unref(certificates);
    tls_context_unref(server);
}

/* A visitor of one name with a session of another's, as a client that lies may have. */
static void check_sessions(int version)
{
    struct tls_certificates *certificates;
    const struct tls_certificate_file files[] = {pair("a.pem", "a.key"), pair("b.pem", "b.key")};
    assert_int_equal(tls_certificates_new(files, 2, &certificates, error, sizeof error), 0);
    struct tls_context *server = new_server(certificates, NULL);
    struct tls_context *worker = new_server(certificates, NULL);
    struct tls_context *other = new_server(certificates, "other");
    struct visit visit;
    X509 *certificate;
    visit_init(&visit, version);
    assert_false(shake_hands(&visit, server, "a.test", NULL));
    assert_non_null(visit.session);
    assert_true(shake_hands(&visit, server, "a.test", NULL));
    assert_true(shake_hands(&visit, worker, "a.test", NULL));
    assert_false(shake_hands(&visit, worker, "b.test", &certificate));
    assert_int_equal(X509_check_host(certificate, "b.test", 0, 0, NULL), 1);
    X509_free(certificate);
    assert_true(shake_hands(&visit, server, "b.test", NULL));
    assert_false(shake_hands(&visit, server, NULL, NULL));
    assert_true(shake_hands(&visit, server, NULL, NULL));
    assert_false(shake_hands(&visit, server, "a.test", NULL));
    assert_false(shake_hands(&visit, other, "a.test", NULL));
    visit_deinit(&visit);
    tls_certificates_unref(certificates);
    tls_context_unref(server);
    tls_context_unref(worker);
    tls_context_unref(other);
}

static void test_a_session_resumes_under_its_own_name_alone(void **state)
{
    make_pair("a.pem", "a.key", "a.test", NULL, false);
    make_pair("b.pem", "b.key", "b.test", NULL, false);
    check_sessions(TLS1_2_VERSION);
    check_sessions(TLS1_3_VERSION);
}

static struct tls_context *load_folder(const struct tls_certificate_file *files, size_t count)
{
    struct tls_certificates *certificates;
    if (tls_certificates_load(files, count, folder, &certificates, error, sizeof error) < 0)
        fail_msg("%s", error);
    struct tls_context *server = new_server(certificates, NULL);
    tls_certificates_unref(certificates);
    return server;
}

static void test_a_folder_gives_its_pairs(void **state)
{
    make_pair("plain.pem", "plain.key", "plain.test", NULL, false);
    make_pair("short.crt", "short.key", "short.test", NULL, false);
    make_folder("live.test");
    make_pair("live.test/fullchain.pem", "live.test/privkey.pem", "live.test", NULL, false);
    make_folder("empty");
    write_file("README", "not a certificate\n");
    struct tls_context *server = load_folder(NULL, 0);
    assert_shown(server, TLS1_3_VERSION, "plain.test", "plain.test");
    assert_shown(server, TLS1_3_VERSION, "short.test", "short.test");
    assert_shown(server, TLS1_3_VERSION, "live.test", "live.test");
    assert_shown(server, TLS1_3_VERSION, NULL, "live.test"); /* first by name */
    tls_context_unref(server);
}

static void test_files_named_go_before_the_folder(void **state)
{
    make_pair("a.pem", "a.key", "same.test", "marker-folder.test", false);
    make_folder("named");
    make_pair("named/n.pem", "named/n.key", "same.test", "marker-named.test", false);
    const struct tls_certificate_file file = pair("named/n.pem", "named/n.key");
    struct tls_context *server = load_folder(&file, 1);
    assert_shown(server, TLS1_3_VERSION, "same.test", "marker-named.test");
    assert_shown(server, TLS1_3_VERSION, NULL, "marker-named.test");
    assert_shown(server, TLS1_3_VERSION, "marker-folder.test", "marker-folder.test");
    tls_context_unref(server);
}

static void assert_refused(const struct tls_certificate_file *files, size_t count, const char *path,
                           const char *where, const char *why)
{
    struct tls_certificates *certificates = NULL;
    error[0] = 0;
    assert_int_equal(tls_certificates_load(files, count, path, &certificates, error, sizeof error),
                     -1);
    assert_null(certificates);
    if (!strstr(error, where) || !strstr(error, why))
        fail_msg("\"%s\" doesn't name %s and say \"%s\"", error, where, why);
}

static void test_a_spare_one_goes_after_the_folder(void **state)
{
    make_folder("made");
    make_pair("made/m.pem", "made/m.key", "same.test", "marker-made.test", false);
    char certificate[64], key[64]; /* test_path()'s own doesn't last */
    snprintf(certificate, sizeof certificate, "%s/made/m.pem", folder);
    snprintf(key, sizeof key, "%s/made/m.key", folder);
    const struct tls_certificate_file file = {
        .certificate_file = certificate, .key_file = key, .is_spare = true};
    struct tls_context *server = load_folder(&file, 1); /* with nothing in it yet */
    assert_shown(server, TLS1_3_VERSION, "same.test", "marker-made.test");
    tls_context_unref(server);
    make_pair("a.pem", "a.key", "same.test", "marker-folder.test", false);
    server = load_folder(&file, 1);
    assert_shown(server, TLS1_3_VERSION, "same.test", "marker-folder.test");
    assert_shown(server, TLS1_3_VERSION, NULL, "marker-folder.test");
    assert_shown(server, TLS1_3_VERSION, "marker-made.test", "marker-made.test");
    tls_context_unref(server);
    write_file("a.pem", "broken\n");
    assert_refused(&file, 1, folder, folder, "there is none to use");
}

/* One bad file in a folder of many must not take the others' names away. */
static void test_what_cant_be_used_is_left_out(void **state)
{
    make_pair("good.pem", "good.key", "good.test", NULL, false);
    make_pair("keyless.pem", "aside", "keyless.test", NULL, false);
    make_pair("mismatch.pem", "aside", "mismatch.test", NULL, false);
    make_pair("aside", "mismatch.key", "mismatch.test", NULL, false);
    write_file("damaged.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n");
    write_file("damaged.key", "none\n");
    struct tls_context *server = load_folder(NULL, 0);
    assert_shown(server, TLS1_3_VERSION, "good.test", "good.test");
    assert_shown(server, TLS1_3_VERSION, "keyless.test", "good.test");
    assert_shown(server, TLS1_3_VERSION, "mismatch.test", "good.test");
    tls_context_unref(server);
}

static void test_says_what_is_wrong(void **state)
{
    assert_refused(NULL, 0, folder, folder, "none to use");
    assert_refused(NULL, 0, NULL, "certificates", "none to use");
    assert_refused(NULL, 0, test_path(folder, "nowhere"), "nowhere", "No such file");
    make_pair("a.pem", "a.key", "a.test", NULL, false);
    make_pair("b.pem", "b.key", "b.test", NULL, false);
    const struct tls_certificate_file mixed = pair("a.pem", "b.key");
    const struct tls_certificate_file missing = pair("a.pem", "c.key");
    assert_refused(&mixed, 1, folder, "b.key", "doesn't match");
    assert_refused(&missing, 1, folder, "c.key", "No such file");
}

/* --- main ------------------------------------------------------------------------- */

static int set_up(void **state)
{
    log_configure(LOG_ERROR, LOG_TEXT_FORMAT); /* warnings of what is left out are meant */
    folder = test_folder();
    return 0;
}

static int tear_down(void **state)
{
    char command[600];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    assert_int_equal(system(command), 0);
    free(folder);
    return 0;
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(test_the_name_asked_for_chooses),
        WITH_FOLDER(test_the_first_certificate_of_a_name_keeps_it),
        WITH_FOLDER(test_a_session_resumes_under_its_own_name_alone),
        WITH_FOLDER(test_a_folder_gives_its_pairs),
        WITH_FOLDER(test_files_named_go_before_the_folder),
        WITH_FOLDER(test_a_spare_one_goes_after_the_folder),
        WITH_FOLDER(test_what_cant_be_used_is_left_out),
        WITH_FOLDER(test_says_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
