#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cmocka.h>

#include "net/pki.h"
#include "server/state.h"

static char root[64], error[512];

static int set_up(void **state)
{
    (void)state;
    *error = 0;
    strcpy(root, "/tmp/streamplex-state-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static void remove_tree(const char *path)
{
    DIR *folder = opendir(path);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        char below[512];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(below, sizeof below, "%s/%s", path, entry->d_name);
        remove_tree(below);
    }
    if (folder)
        closedir(folder);
    remove(path);
}

static int tear_down(void **state)
{
    (void)state;
    remove_tree(root);
    return 0;
}

static const char *below(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

static unsigned mode(const char *name)
{
    struct stat facts;
    assert_int_equal(stat(below(name), &facts), 0);
    return facts.st_mode & 07777;
}

static void write_file(const char *name, const char *text, mode_t bits)
{
    FILE *file = fopen(below(name), "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(below(name), bits), 0);
}

static void test_the_folder_is_made_for_its_owner_alone(void **state)
{
    (void)state;
    assert_int_equal(state_ensure_folder(below("a/b"), error, sizeof error), 0);
    assert_int_equal(mode("a"), 0700);
    assert_int_equal(mode("a/b"), 0700);
    assert_int_equal(state_ensure_folder(below("a/b"), error, sizeof error), 0);
    assert_int_equal(state_ensure_folder(below("a/b/c/"), error, sizeof error), 0);
    assert_int_equal(mode("a/b/c"), 0700);
}

static void test_a_folder_that_others_write_to_is_refused(void **state)
{
    (void)state;
    assert_int_equal(mkdir(below("open"), 0700), 0);
    assert_int_equal(chmod(below("open"), 0770), 0);
    assert_int_equal(state_ensure_folder(below("open"), error, sizeof error), -1);
    assert_non_null(strstr(error, below("open")));
    assert_int_equal(chmod(below("open"), 0702), 0);
    assert_int_equal(state_ensure_folder(below("open"), error, sizeof error), -1);
    assert_int_equal(chmod(below("open"), 0755), 0);
    assert_int_equal(state_ensure_folder(below("open"), error, sizeof error), 0);
}

static void test_a_file_is_no_folder(void **state)
{
    (void)state;
    write_file("file", "x", 0600);
    assert_int_equal(state_ensure_folder(below("file"), error, sizeof error), -1);
    assert_int_equal(state_ensure_folder(below("file/below"), error, sizeof error), -1);
    assert_int_equal(state_ensure_folder("", error, sizeof error), -1);
}

static void test_the_default_folder_follows_the_environment(void **state)
{
    (void)state;
    char folder[256], tight[8];
    setenv("STATE_DIRECTORY", "/var/lib/one:/var/lib/two", 1);
    assert_int_equal(state_default_folder(folder, sizeof folder, error, sizeof error), 0);
    assert_string_equal(folder, "/var/lib/one");
    assert_int_equal(state_default_folder(tight, sizeof tight, error, sizeof error), -1);
    unsetenv("STATE_DIRECTORY");
    setenv("HOME", "/srv/ann", 1);
    setenv("XDG_STATE_HOME", "/srv/ann/state", 1);
    bool is_root = geteuid() == 0;
    assert_int_equal(state_default_folder(folder, sizeof folder, error, sizeof error), 0);
    assert_string_equal(folder, is_root ? "/var/lib/streamplex" : "/srv/ann/state/streamplex");
    unsetenv("XDG_STATE_HOME");
    assert_int_equal(state_default_folder(folder, sizeof folder, error, sizeof error), 0);
    assert_string_equal(folder,
                        is_root ? "/var/lib/streamplex" : "/srv/ann/.local/state/streamplex");
}

static void test_a_token_is_made_once(void **state)
{
    (void)state;
    char token[64], again[64];
    bool made = false;
    assert_int_equal(state_ensure_token(root, token, sizeof token, &made, error, sizeof error), 0);
    assert_true(made);
    assert_int_equal(strlen(token), 43);
    assert_int_equal(
        strspn(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"), 43);
    assert_int_equal(mode("token"), 0600);
    assert_int_equal(state_ensure_token(root, again, sizeof again, &made, error, sizeof error), 0);
    assert_false(made);
    assert_string_equal(again, token);
    /* Nothing is left of the making, and another one differs. */
    assert_int_equal(unlink(below("token")), 0);
    assert_int_equal(rmdir(root), 0);
    assert_int_equal(mkdir(root, 0700), 0);
    assert_int_equal(state_ensure_token(root, again, sizeof again, &made, error, sizeof error), 0);
    assert_true(made);
    assert_string_not_equal(again, token);
}

static void test_an_operators_own_token_is_read(void **state)
{
    (void)state;
    char token[64];
    bool made = true;
    write_file("token", "my own token \r\n", 0600);
    assert_int_equal(state_ensure_token(root, token, sizeof token, &made, error, sizeof error), 0);
    assert_false(made);
    assert_string_equal(token, "my own token");
}

static void refuse_token(const char *text, mode_t bits)
{
    char token[64];
    bool made = false;
    write_file("token", text, bits);
    *error = 0;
    assert_int_equal(state_ensure_token(root, token, sizeof token, &made, error, sizeof error), -1);
    assert_non_null(strstr(error, below("token")));
    assert_null(strstr(error, "hunter2"));
}

static void test_unfit_token_files_are_refused(void **state)
{
    (void)state;
    refuse_token("hunter2\n", 0644);
    refuse_token("hunter2\n", 0640);
    refuse_token("", 0600);
    refuse_token(" \n", 0600);
    refuse_token("hunter2\nsecond\n", 0600);
    refuse_token("hunter2hunter2hunter2hunter2hunter2hunter2hunter2hunter2hunter2.", 0600);
    assert_int_equal(unlink(below("token")), 0);
    assert_int_equal(symlink("/etc/hostname", below("token")), 0);
    char token[64];
    bool made;
    assert_int_equal(state_ensure_token(root, token, sizeof token, &made, error, sizeof error), -1);
}

static bool names(X509 *certificate, const char *name)
{
    return X509_check_host(certificate, name, 0, 0, NULL) == 1 ||
           X509_check_ip_asc(certificate, name, 0) == 1;
}

static void test_the_certificate_names_this_machine(void **state)
{
    (void)state;
    if (state_ensure_certificate(root, NULL, error, sizeof error) < 0)
        fail_msg("%s", error);
    assert_int_equal(mode("server.key"), 0600);
    assert_int_equal(mode("ca.key"), 0600);
    FILE *file = fopen(below("server.pem"), "r");
    assert_non_null(file);
    X509 *certificate = PEM_read_X509(file, NULL, NULL, NULL);
    fclose(file);
    assert_non_null(certificate);
    char host[256] = "";
    assert_int_equal(gethostname(host, sizeof host - 1), 0);
    assert_true(names(certificate, "localhost"));
    assert_true(names(certificate, "127.0.0.1"));
    assert_true(names(certificate, "::1"));
    assert_true(names(certificate, host));
    assert_false(names(certificate, "other.example.org"));
    X509_free(certificate);
}

static void test_old_boards_have_a_ca_of_their_own(void **state)
{
    (void)state;
    if (state_ensure_old_certificate(root, error, sizeof error) < 0)
        fail_msg("%s", error);
    assert_int_equal(mode("old"), 0700);
    assert_int_equal(mode("old/server.key"), 0600);
    assert_int_equal(access(below("ca.pem"), F_OK), -1);
    assert_true(pki_is_rsa(below("old/server.pem")));
}

/* --- the edge's certificate ---------------------------------------------------------- */

static X509 *load(const char *name)
{
    FILE *file = fopen(below(name), "r");
    assert_non_null(file);
    X509 *certificate = PEM_read_X509(file, NULL, NULL, NULL);
    fclose(file);
    assert_non_null(certificate);
    return certificate;
}

static void ensure_edge(const char *domain, char fingerprint[65])
{
    if (state_ensure_edge_certificate(root, domain, error, sizeof error) < 0)
        fail_msg("%s", error);
    assert_int_equal(pki_fingerprint(below("edge/server.pem"), fingerprint), 0);
}

static void test_the_edge_is_certified_by_the_same_ca(void **state)
{
    char fingerprint[65];
    (void)state;
    assert_int_equal(state_ensure_certificate(root, NULL, error, sizeof error), 0);
    ensure_edge("edge.example.org", fingerprint);
    X509 *ca = load("ca.pem"), *certificate = load("edge/server.pem");
    assert_int_equal(X509_verify(certificate, X509_get0_pubkey(ca)), 1);
    assert_true(names(certificate, "edge.example.org"));
    assert_true(names(certificate, "shy-bush-6765.edge.example.org"));
    assert_false(names(certificate, "a.b.edge.example.org"));
    assert_false(names(certificate, "localhost"));
    assert_int_equal(mode("edge/server.key"), 0600);
    assert_int_equal(mode("edge"), 0700);
    assert_int_equal(access(below("edge/ca.pem"), F_OK), -1);
    X509_free(ca);
    X509_free(certificate);
}

static void shorten(long seconds)
{
    X509 *certificate = load("edge/server.pem");
    FILE *file = fopen(below("ca.key"), "r");
    EVP_PKEY *key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
    fclose(file);
    X509_gmtime_adj(X509_getm_notAfter(certificate), seconds);
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    file = fopen(below("edge/server.pem"), "w");
    PEM_write_X509(file, certificate);
    fclose(file);
    EVP_PKEY_free(key);
    X509_free(certificate);
}

static void test_the_edges_certificate_is_kept_while_it_fits(void **state)
{
    static const char *const domains[] = {"edge.example.org", "example.org", "edge.localhost",
                                          "localhost"};
    char first[65], again[65], before[65] = "";
    (void)state;
    for (size_t i = 0; i < sizeof domains / sizeof domains[0]; i++) {
        ensure_edge(domains[i], first);
        assert_string_not_equal(first, before); /* the domain changed */
        ensure_edge(domains[i], again);
        assert_string_equal(again, first);
        strcpy(before, first);
    }
    shorten(31 * 86400L);
    assert_int_equal(pki_fingerprint(below("edge/server.pem"), first), 0);
    ensure_edge("localhost", again);
    assert_string_equal(again, first);
    shorten(29 * 86400L);
    ensure_edge("localhost", again);
    assert_string_not_equal(again, first);
    X509 *certificate = load("edge/server.pem");
    int days, seconds;
    assert_int_equal(ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(certificate)), 1);
    assert_in_range(days, 395, 397);
    X509_free(certificate);
}

static void test_an_unfit_domain_is_refused(void **state)
{
    char longer[300];
    (void)state;
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    assert_int_equal(state_ensure_edge_certificate(root, "a b", error, sizeof error), -1);
    assert_non_null(strstr(error, "a b"));
    assert_int_equal(state_ensure_edge_certificate(root, longer, error, sizeof error), -1);
    assert_non_null(strstr(error, "too long"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_folder_is_made_for_its_owner_alone, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_folder_that_others_write_to_is_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_file_is_no_folder, set_up, tear_down),
        cmocka_unit_test(test_the_default_folder_follows_the_environment),
        cmocka_unit_test_setup_teardown(test_a_token_is_made_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_operators_own_token_is_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unfit_token_files_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_certificate_names_this_machine, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_old_boards_have_a_ca_of_their_own, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_edge_is_certified_by_the_same_ca, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_the_edges_certificate_is_kept_while_it_fits, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_an_unfit_domain_is_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
