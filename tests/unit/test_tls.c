/* TLS contexts: what they refuse to load, whom a client trusts, old protocols, tickets and
 * sessions. */
#include "net_test.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "net/conn_internal.h"
#include "net/tls_internal.h"
#include "net/tls_session.h"
#include "net/tls_ticket.h"

static struct loop *loop;
static char *folder;
static char error[512];

/* --- a handshake and what came of it -------------------------------------- */

struct end {
    struct conn *conn;
    bool ready, failed, ended;
    uint64_t read;
};

struct handshake {
    struct end client, server;
};

static void on_ready(struct conn *conn)
{
    struct end *end = conn_user(conn);
    end->ready = true;
}

/* TLS 1.3's tickets come behind the handshake; reading takes them in. */
static void on_readable(struct conn *conn)
{
    struct end *end = conn_user(conn);
    char buffer[100];
    ssize_t n;
    while ((n = conn_read(conn, buffer, sizeof buffer)) > 0)
        end->read += (uint64_t)n;
    end->failed |= n == CONN_FAILED;
    end->ended |= n == CONN_END;
}

static void on_writable(struct conn *conn)
{
}

static void on_failed(struct conn *conn)
{
    struct end *end = conn_user(conn);
    end->failed = true;
}

static const struct conn_callbacks callbacks = {on_ready, on_readable, on_writable, NULL,
                                                on_failed};

static bool client_is_over(void *user)
{
    struct handshake *handshake = user;
    return handshake->client.failed || (handshake->client.read && handshake->server.ready);
}

static void greet(struct handshake *handshake)
{
    if (handshake->server.ready)
        assert_int_equal(conn_write(handshake->server.conn, "x", 1), 1);
}

static bool server_is_over(void *user)
{
    struct handshake *handshake = user;
    return handshake->client.failed || handshake->server.ready || handshake->server.failed;
}

static void handshake_run(struct handshake *handshake, struct tls_context *client,
                          struct tls_context *server, const char *name, const char *session_key)
{
    int fds[2];
    *handshake = (struct handshake){0};
    test_tcp_pair(fds);
    assert_int_equal(
        conn_open(loop, fds[0], &callbacks, &handshake->client, &handshake->client.conn), 0);
    assert_int_equal(
        conn_open(loop, fds[1], &callbacks, &handshake->server, &handshake->server.conn), 0);
    assert_int_equal(conn_start_tls_server(handshake->server.conn, server), 0);
    assert_int_equal(conn_start_tls_client(handshake->client.conn, client, name, session_key), 0);
    test_run_until(loop, server_is_over, handshake);
    greet(handshake);
    test_run_until(loop, client_is_over, handshake);
}

static void handshake_close(struct handshake *handshake)
{
    conn_close(handshake->client.conn);
    conn_close(handshake->server.conn);
    test_run_for(loop, 3000);
}

/* --- contexts ------------------------------------------------------------- */

static struct tls_context *new_server(const char *certificate, const char *key, bool old)
{
    struct tls_context *context = NULL;
    struct tls_server_options options = {.certificate_file = test_path(folder, certificate),
                                         .key_file = test_path(folder, key),
                                         .old = old};
    assert_int_equal(tls_server_new(&options, &context, error, sizeof error), 0);
    return context;
}

static struct tls_context *new_client(const char *ca, const char *pin, bool cache_sessions)
{
    struct tls_context *context = NULL;
    struct tls_client_options options = {.ca_file = ca ? test_path(folder, ca) : NULL,
                                         .pin_sha256 = pin,
                                         .cache_sessions = cache_sessions};
    assert_int_equal(tls_client_new(&options, &context, error, sizeof error), 0);
    return context;
}

static void write_file(const char *name, const char *text)
{
    FILE *stream = fopen(test_path(folder, name), "w");
    assert_non_null(stream);
    fputs(text, stream);
    fclose(stream);
}

/* other.pem and other.key: self-signed, for `name`, valid from now for `seconds`; the key encrypted
 * with a passphrase, if there is one. */
static void make_other(EVP_PKEY *key, const char *name, long seconds, const char *passphrase)
{
    X509 *certificate = X509_new();
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), seconds < 0 ? 2 * seconds : 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), seconds);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                               (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
    X509_set_pubkey(certificate, key);
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    FILE *stream = fopen(test_path(folder, "other.pem"), "w");
    PEM_write_X509(stream, certificate);
    fclose(stream);
    stream = fopen(test_path(folder, "other.key"), "w");
    assert_int_equal(PEM_write_PrivateKey(stream, key, passphrase ? EVP_aes_128_cbc() : NULL,
                                          (const unsigned char *)passphrase,
                                          passphrase ? (int)strlen(passphrase) : 0, NULL, NULL),
                     1);
    fclose(stream);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static void assert_server_refused(const char *certificate, const char *key, const char *passphrase,
                                  const char *reason)
{
    struct tls_context *context = NULL;
    struct tls_server_options options = {.certificate_file = test_path(folder, certificate),
                                         .key_file = test_path(folder, key),
                                         .key_passphrase = passphrase};
    error[0] = 0;
    assert_int_equal(tls_server_new(&options, &context, error, sizeof error), -1);
    assert_null(context);
    if (!strstr(error, reason))
        fail_msg("\"%s\" doesn't say \"%s\"", error, reason);
}

static void test_server_says_what_is_wrong_with_its_files(void **state)
{
    assert_server_refused("none.pem", "server.key", NULL, "No such file");
    assert_server_refused("server.pem", "none.key", NULL, "No such file");
    assert_server_refused("server.key", "server.key", NULL, "no PEM certificate");
    assert_server_refused("server.pem", "ca.key", NULL, "doesn't match");
    write_file("other.key", "nothing in here\n");
    assert_server_refused("server.pem", "other.key", NULL, "no PEM private key");
    write_file("other.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    assert_server_refused("other.pem", "server.key", NULL, "certificate ");
}

static void test_encrypted_key_needs_its_passphrase(void **state)
{
    struct tls_context *context = NULL;
    make_other(EVP_EC_gen("P-256"), "localhost", 3600, "secret");
    assert_server_refused("other.pem", "other.key", NULL, "no passphrase");
    assert_server_refused("other.pem", "other.key", "wrong", "passphrase wrong");
    struct tls_server_options options = {.certificate_file = test_path(folder, "other.pem"),
                                         .key_file = test_path(folder, "other.key"),
                                         .key_passphrase = "secret"};
    assert_int_equal(tls_server_new(&options, &context, error, sizeof error), 0);
    tls_context_unref(context);
}

static void test_client_says_what_is_wrong_with_its_trust(void **state)
{
    struct tls_context *context = NULL;
    struct tls_client_options options = {.ca_file = test_path(folder, "none.pem")};
    assert_int_equal(tls_client_new(&options, &context, error, sizeof error), -1);
    assert_non_null(strstr(error, "No such file"));
    options = (struct tls_client_options){.ca_file = test_path(folder, "ca.key")};
    assert_int_equal(tls_client_new(&options, &context, error, sizeof error), -1);
    options = (struct tls_client_options){.ca_pem = "no certificate"};
    assert_int_equal(tls_client_new(&options, &context, error, sizeof error), -1);
    options = (struct tls_client_options){.pin_sha256 = "1234"};
    assert_int_equal(tls_client_new(&options, &context, error, sizeof error), -1);
    assert_non_null(strstr(error, "64 hex digits"));
    assert_null(context);
}

/* --- trust ---------------------------------------------------------------- */

static void check_trust(struct tls_context *client, struct tls_context *server, const char *name,
                        const char *expected_code)
{
    struct handshake handshake;
    handshake_run(&handshake, client, server, name, NULL);
    if (expected_code) {
        assert_true(handshake.client.failed);
        assert_int_equal(conn_error(handshake.client.conn), -EPROTO);
        assert_string_equal(conn_error_code(handshake.client.conn), expected_code);
        assert_true(strlen(conn_error_text(handshake.client.conn)) > 5);
    } else {
        assert_true(handshake.client.ready);
        assert_string_equal(conn_tls_version(handshake.client.conn), "TLSv1.3");
    }
    conn_abort(handshake.client.conn);
    conn_abort(handshake.server.conn);
    test_run_for(loop, 0);
}

static void check_trust_and_free(struct tls_context *client, struct tls_context *server,
                                 const char *name, const char *expected_code)
{
    check_trust(client, server, name, expected_code);
    tls_context_unref(client);
    tls_context_unref(server);
}

static void test_trusted_certificate_is_accepted_for_its_names(void **state)
{
    struct tls_context *client = new_client("ca.pem", NULL, false);
    struct tls_context *server = new_server("server.pem", "server.key", false);
    check_trust(client, server, "localhost", NULL);
    check_trust(client, server, "127.0.0.1", NULL);
    check_trust(client, server, "::1", NULL);
    check_trust(client, server, "a.example.test", NULL);
    check_trust(client, server, "example.test", "ERR_TLS_CERT_ALTNAME_INVALID");
    check_trust(client, server, "a.b.example.test", "ERR_TLS_CERT_ALTNAME_INVALID");
    check_trust(client, server, "localhost.evil.test", "ERR_TLS_CERT_ALTNAME_INVALID");
    check_trust(client, server, "127.0.0.2", "ERR_TLS_CERT_ALTNAME_INVALID");
    tls_context_unref(client);
    tls_context_unref(server);
}

static void test_trust_can_be_given_as_text(void **state)
{
    char pem[4096] = "";
    struct tls_context *client;
    FILE *stream = fopen(test_path(folder, "ca.pem"), "r");
    assert_true(fread(pem, 1, sizeof pem - 1, stream) > 100);
    fclose(stream);
    struct tls_client_options options = {.ca_pem = pem};
    assert_int_equal(tls_client_new(&options, &client, error, sizeof error), 0);
    check_trust_and_free(client, new_server("server.pem", "server.key", false), "localhost", NULL);
}

static void test_untrusted_certificates_are_named(void **state)
{
    make_other(EVP_EC_gen("P-256"), "localhost", 3600, NULL);
    check_trust_and_free(new_client("ca.pem", NULL, false),
                         new_server("other.pem", "other.key", false), "localhost",
                         "DEPTH_ZERO_SELF_SIGNED_CERT");
    check_trust_and_free(new_client("other.pem", NULL, false),
                         new_server("server.pem", "server.key", false), "localhost",
                         "SELF_SIGNED_CERT_IN_CHAIN");
    make_other(EVP_EC_gen("P-256"), "localhost", -3600, NULL);
    check_trust_and_free(new_client("other.pem", NULL, false),
                         new_server("other.pem", "other.key", false), "localhost",
                         "CERT_HAS_EXPIRED");
}

static void pin_of_key(const char *name, char hex[65])
{
    unsigned char *der = NULL, digest[32];
    FILE *stream = fopen(test_path(folder, name), "r");
    X509 *certificate = PEM_read_X509(stream, NULL, NULL, NULL);
    fclose(stream);
    int length = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
    pki_sha256(der, (size_t)length, digest);
    OPENSSL_free(der);
    X509_free(certificate);
    for (int i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02X", digest[i]);
}

static void test_pin_stands_for_chain_and_name(void **state)
{
    char pin[65];
    make_other(EVP_EC_gen("P-256"), "whatever", 3600, NULL);
    assert_int_equal(pki_fingerprint(test_path(folder, "other.pem"), pin), 0);
    check_trust_and_free(new_client(NULL, pin, false), new_server("other.pem", "other.key", false),
                         "localhost", NULL);
    pin_of_key("other.pem", pin);
    check_trust_and_free(new_client(NULL, pin, false), new_server("other.pem", "other.key", false),
                         "localhost", NULL);
    check_trust_and_free(new_client(NULL, pin, false),
                         new_server("server.pem", "server.key", false), "localhost",
                         "CERT_REJECTED");
}

/* --- protocols ------------------------------------------------------------ */

/* A client's context that speaks exactly one version. */
static struct tls_context *new_client_of(int version, const char *ciphers)
{
    struct tls_context *context = new_client("other.pem", NULL, false);
    SSL_CTX *ssl = tls_context_ssl(context);
    SSL_CTX_set_security_level(ssl, 0);
    SSL_CTX_set_min_proto_version(ssl, version);
    SSL_CTX_set_max_proto_version(ssl, version);
    assert_int_equal(SSL_CTX_set_cipher_list(ssl, ciphers), 1);
    SSL_CTX_set_verify(ssl, SSL_VERIFY_NONE, NULL);
    return context;
}

static void check_version(int version, const char *ciphers, bool old, const char *expected)
{
    struct handshake handshake;
    struct tls_context *client = new_client_of(version, ciphers);
    struct tls_context *server = new_server("other.pem", "other.key", old);
    handshake_run(&handshake, client, server, "localhost", NULL);
    assert_int_equal(handshake.client.ready, expected != NULL);
    if (expected)
        assert_string_equal(conn_tls_version(handshake.server.conn), expected);
    conn_abort(handshake.client.conn);
    conn_abort(handshake.server.conn);
    test_run_for(loop, 0);
    tls_context_unref(client);
    tls_context_unref(server);
}

static void test_old_boards_are_served_by_the_old_listener_alone(void **state)
{
    const char *ciphers = "AES128-SHA:@SECLEVEL=0"; /* RSA key exchange, CBC */
    make_other(EVP_RSA_gen(2048), "localhost", 3600, NULL);
    check_version(TLS1_VERSION, ciphers, true, "TLSv1");
    check_version(TLS1_1_VERSION, ciphers, true, "TLSv1.1");
    check_version(TLS1_2_VERSION, ciphers, true, "TLSv1.2");
    check_version(TLS1_VERSION, ciphers, false, NULL);
    check_version(TLS1_1_VERSION, ciphers, false, NULL);
    check_version(TLS1_2_VERSION, ciphers, false, NULL);
    check_version(TLS1_2_VERSION, "ECDHE-RSA-AES128-GCM-SHA256", false, "TLSv1.2");
}

static void test_bytes_before_tls_fail(void **state)
{
    int fds[2];
    struct end end = {0};
    struct tls_context *server = new_server("server.pem", "server.key", false);
    test_tcp_pair(fds);
    assert_int_equal(conn_open(loop, fds[1], &callbacks, &end, &end.conn), 0);
    assert_int_equal(conn_start_tls_server(end.conn, server), 0);
    assert_int_equal(send(fds[0], "GET / HTTP/1.1\r\n\r\n", 18, 0), 18);
    test_run_until(loop, test_flag_holds, &end.failed);
    assert_false(end.ready);
    assert_int_equal(conn_error(end.conn), -EPROTO);
    conn_close(end.conn);
    close(fds[0]);
    test_run_for(loop, 2000);
    tls_context_unref(server);
}

static void test_peer_that_leaves_the_handshake_fails(void **state)
{
    int fds[2];
    struct end end = {0};
    struct tls_context *server = new_server("server.pem", "server.key", false);
    test_tcp_pair(fds);
    assert_int_equal(conn_open(loop, fds[1], &callbacks, &end, &end.conn), 0);
    assert_int_equal(conn_start_tls_server(end.conn, server), 0);
    assert_int_equal(send(fds[0], "\x16\x03\x01", 3, 0), 3);
    close(fds[0]);
    test_run_until(loop, test_flag_holds, &end.failed);
    assert_string_equal(conn_error_code(end.conn), "ECONNRESET");
    conn_close(end.conn);
    test_run_for(loop, 0);
    tls_context_unref(server);
}

/* --- sessions ------------------------------------------------------------- */

static bool resumes(struct tls_context *client, struct tls_context *server, const char *key)
{
    struct handshake handshake;
    handshake_run(&handshake, client, server, "localhost", key);
    assert_true(handshake.client.ready && handshake.server.ready);
    bool resumed = conn_tls_resumed(handshake.client.conn);
    assert_int_equal(conn_tls_resumed(handshake.server.conn), resumed);
    handshake_close(&handshake);
    return resumed;
}

static void check_resumption(int version)
{
    struct tls_context *client = new_client("ca.pem", NULL, true);
    struct tls_context *worker_1 = new_server("server.pem", "server.key", false);
    struct tls_context *worker_2 = new_server("server.pem", "server.key", false);
    SSL_CTX_set_max_proto_version(tls_context_ssl(client), version);
    assert_false(resumes(client, worker_1, "localhost:1"));
    assert_true(resumes(client, worker_1, "localhost:1"));
    assert_true(resumes(client, worker_1, "localhost:1"));
    assert_true(resumes(client, worker_2, "localhost:1")); /* tickets are the process's */
    assert_false(resumes(client, worker_1, "localhost:2"));
    assert_false(resumes(client, worker_1, NULL));
    assert_int_equal(tls_ticket_renew(), 0);
    assert_true(
        resumes(client, worker_1, "localhost:2")); /* the last key's tickets are still taken */
    assert_true(resumes(client, worker_1, "localhost:1"));
    assert_int_equal(tls_ticket_renew(), 0);
    if (version == TLS1_3_VERSION) /* which replaced the ticket by one of its own key's */
        assert_true(resumes(client, worker_1, "localhost:1"));
    assert_int_equal(tls_ticket_renew(), 0);
    assert_int_equal(tls_ticket_renew(), 0);
    assert_false(resumes(client, worker_1, "localhost:1"));
    tls_context_unref(client);
    tls_context_unref(worker_1);
    tls_context_unref(worker_2);
}

static void test_sessions_resume_on_every_worker(void **state)
{
    check_resumption(TLS1_3_VERSION);
    check_resumption(TLS1_2_VERSION);
}

/* --- names, protocols, no checks ------------------------------------------------------ */

static void check_agreed(const char *of_server, const char *of_client, const char *expected,
                         int version)
{
    struct tls_context *server = NULL, *client = NULL;
    struct handshake handshake;
    const struct tls_server_options server_options = {.certificate_file =
                                                          test_path(folder, "server.pem"),
                                                      .key_file = test_path(folder, "server.key"),
                                                      .alpn = of_server};
    const struct tls_client_options client_options = {
        .ca_file = test_path(folder, "ca.pem"), .alpn = of_client, .cache_sessions = true};
    assert_int_equal(tls_server_new(&server_options, &server, error, sizeof error), 0);
    assert_int_equal(tls_client_new(&client_options, &client, error, sizeof error), 0);
    SSL_CTX_set_max_proto_version(tls_context_ssl(client), version);
    for (int i = 0; i < 2; i++) { /* the second time resumed */
        handshake_run(&handshake, client, server, "localhost", "localhost:1");
        assert_false(handshake.client.failed);
        assert_int_equal(conn_tls_resumed(handshake.server.conn), i);
        assert_string_equal(conn_tls_alpn(handshake.client.conn), expected);
        assert_string_equal(conn_tls_alpn(handshake.server.conn), expected);
        assert_string_equal(conn_tls_server_name(handshake.server.conn), "localhost");
        assert_string_equal(conn_tls_server_name(handshake.client.conn), "");
        handshake_close(&handshake);
    }
    tls_context_unref(client);
    tls_context_unref(server);
}

static void test_both_sides_know_the_protocol_and_the_name(void **state)
{
    const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (int i = 0; i < 2; i++) {
        check_agreed("http/1.1,http/1.0", "h2,http/1.0,http/1.1", "http/1.1", versions[i]);
        check_agreed("streamplex/1", "streamplex/1", "streamplex/1", versions[i]);
        check_agreed("streamplex/1", "streamplex/10,streamplex", "", versions[i]);
        check_agreed("streamplex/1", NULL, "", versions[i]);
        check_agreed(NULL, "streamplex/1", "", versions[i]);
    }
}

static void test_a_list_of_protocols_must_be_one(void **state)
{
    const char *const bad[] = {"", ",", "a,,b", "a,"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct tls_context *client = NULL;
        const struct tls_client_options options = {.alpn = bad[i]};
        assert_int_equal(tls_client_new(&options, &client, error, sizeof error), -1);
        assert_non_null(strstr(error, "ALPN"));
    }
}

static void test_no_name_and_no_tls_are_empty_texts(void **state)
{
    struct tls_context *server = new_server("server.pem", "server.key", false);
    struct tls_context *client = new_client("ca.pem", NULL, false);
    struct handshake handshake;
    handshake_run(&handshake, client, server, "127.0.0.1", NULL);
    assert_string_equal(conn_tls_server_name(handshake.server.conn), "");
    handshake_close(&handshake);
    int fds[2];
    struct conn *raw;
    test_tcp_pair(fds);
    assert_int_equal(conn_open(loop, fds[0], &callbacks, NULL, &raw), 0);
    assert_string_equal(conn_tls_server_name(raw), "");
    assert_string_equal(conn_tls_alpn(raw), "");
    conn_abort(raw);
    close(fds[1]);
    tls_context_unref(client);
    tls_context_unref(server);
}

static void test_insecure_takes_any_certificate(void **state)
{
    struct tls_context *server = new_server("server.pem", "server.key", false), *client = NULL;
    const struct tls_client_options options = {.insecure = true};
    struct handshake handshake;
    assert_int_equal(tls_client_new(&options, &client, error, sizeof error), 0);
    handshake_run(&handshake, client, server, "another.test", NULL);
    assert_false(handshake.client.failed);
    assert_true(handshake.client.ready);
    handshake_close(&handshake);
    tls_context_unref(client);
    tls_context_unref(server);
}

static SSL_SESSION *fresh_session(void)
{
    SSL_SESSION *session = SSL_SESSION_new();
    unsigned char id[4] = {1, 2, 3, 4};
    SSL_SESSION_set_protocol_version(session, TLS1_2_VERSION);
    SSL_SESSION_set1_id(session, id, sizeof id);
    return session;
}

static void test_session_cache_forgets_the_least_recently_used(void **state)
{
    struct tls_sessions *sessions = tls_sessions_new();
    char key[16];
    for (int i = 0; i < TLS_SESSIONS_MAX; i++) {
        snprintf(key, sizeof key, "host:%d", i);
        tls_sessions_keep(sessions, key, fresh_session());
    }
    assert_non_null(
        tls_sessions_find(sessions, "host:0")); /* used again: now host:1 is the oldest */
    tls_sessions_keep(sessions, "one more", fresh_session());
    assert_non_null(tls_sessions_find(sessions, "host:0"));
    assert_null(tls_sessions_find(sessions, "host:1"));
    assert_non_null(tls_sessions_find(sessions, "host:2"));
    assert_non_null(tls_sessions_find(sessions, "one more"));
    SSL_SESSION *old = fresh_session();
    SSL_SESSION_set_time(old, 1000);
    tls_sessions_keep(sessions, "host:2", old);
    assert_null(tls_sessions_find(sessions, "host:2"));
    tls_sessions_free(sessions);
}

/* --- set-up --------------------------------------------------------------- */

static int set_up(void **state)
{
    static const char *const names[] = {"localhost", "127.0.0.1", "::1", "*.example.test"};
    folder = test_folder();
    assert_int_equal(loop_new(&loop), 0);
    assert_int_equal(pki_ensure_server(folder, names, 4, error, sizeof error), 0);
    return 0;
}

static int tear_down(void **state)
{
    loop_free(loop);
    test_remove_folder(folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_server_says_what_is_wrong_with_its_files),
        cmocka_unit_test(test_encrypted_key_needs_its_passphrase),
        cmocka_unit_test(test_client_says_what_is_wrong_with_its_trust),
        cmocka_unit_test(test_trusted_certificate_is_accepted_for_its_names),
        cmocka_unit_test(test_trust_can_be_given_as_text),
        cmocka_unit_test(test_untrusted_certificates_are_named),
        cmocka_unit_test(test_pin_stands_for_chain_and_name),
        cmocka_unit_test(test_old_boards_are_served_by_the_old_listener_alone),
        cmocka_unit_test(test_bytes_before_tls_fail),
        cmocka_unit_test(test_peer_that_leaves_the_handshake_fails),
        cmocka_unit_test(test_sessions_resume_on_every_worker),
        cmocka_unit_test(test_both_sides_know_the_protocol_and_the_name),
        cmocka_unit_test(test_a_list_of_protocols_must_be_one),
        cmocka_unit_test(test_no_name_and_no_tls_are_empty_texts),
        cmocka_unit_test(test_insecure_takes_any_certificate),
        cmocka_unit_test(test_session_cache_forgets_the_least_recently_used),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
