/* The configuration of `streamplex serve`: from settings to the snapshot, and what is refused. */
#include "server/config.h"

#include <ctype.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "net/pki.h"

struct fixture {
    struct config *config;
    char folder[64]; /* for state and files; nothing is in it */
    char error[512];
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    if (!fixture)
        return -1;
    /* Nothing of the tester's own environment. */
    clearenv();
    strcpy(fixture->folder, "/tmp/test_config_XXXXXX");
    *state = fixture;
    return mkdtemp(fixture->folder) ? 0 : -1;
}

static int teardown(void **state)
{
    static const char *const names[] = {
        "state/token",      "state/ca.pem",  "state/ca.key", "state/server.pem",
        "state/server.key", "state/jwt.key", "state",        "tokens",
        "serve.ini",        "access.log",    "webroot",      ""};
    struct fixture *fixture = *state;
    char path[128];
    config_unref(fixture->config);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", fixture->folder, names[i]);
        remove(path);
    }
    free(fixture);
    return 0;
}

/* Loads a command line, its words separated by blanks; "%" stands for the test's folder. */
static int load(struct fixture *fixture, const char *line)
{
    char *argv[48] = {(char *)"serve"};
    char words[2048];
    size_t used = 0;
    int argc = 1;
    for (; *line && used + sizeof fixture->folder < sizeof words; line++)
        used += (size_t)snprintf(words + used, sizeof words - used, *line == '%' ? "%s" : "%.1s",
                                 *line == '%' ? fixture->folder : line);
    words[used] = '\0';
    for (char *word = strtok(words, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    config_unref(fixture->config);
    fixture->config = NULL;
    return config_load(argc, argv, &fixture->config, fixture->error, sizeof fixture->error);
}

/* The usual: with a token and a state folder of the test's. */
static int load_with(struct fixture *fixture, const char *line)
{
    char whole[1024];
    snprintf(whole, sizeof whole, "--state %%/state --token secret %s", line);
    return load(fixture, whole);
}

static void assert_fails(struct fixture *fixture, const char *line, const char *error)
{
    assert_int_equal(load_with(fixture, line), -1);
    assert_null(fixture->config);
    assert_string_equal(fixture->error, error);
}

static void write_file(const struct fixture *fixture, const char *name, const char *text)
{
    char path[128];
    FILE *file;
    snprintf(path, sizeof path, "%s/%s", fixture->folder, name);
    file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static bool exists(const struct fixture *fixture, const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", fixture->folder, name);
    return access(path, F_OK) == 0;
}

static const char *owner_of(const struct config *config, const char *token)
{
    return tokens_find(&config->tokens, token, strlen(token));
}

static void assert_listens(const struct config *config, size_t index, const char *expected)
{
    char text[ADDRESS_TEXT_MAX];
    assert_true(index < config->listen_count);
    assert_string_equal(address_format(&config->listen[index], text), expected);
}

static void test_defaults(void **state)
{
    struct fixture *f = *state;
    const struct plex_config *plex;
    assert_int_equal(load_with(f, ""), 0);
    assert_int_equal(f->config->listen_count, 1);
    assert_listens(f->config, 0, "[::]:5005");
    assert_int_equal(f->config->listen_old_count, 0);
    assert_true(f->config->settings.workers >= 1);
    assert_true(f->config->settings.workers <= CONFIG_WORKERS_MAX);
    assert_int_equal(f->config->settings.log_format, LOG_TEXT_FORMAT);
    assert_int_equal(f->config->settings.log_level, LOG_INFO);
    assert_int_equal(f->config->settings.auth_cache, 300000000);
    assert_int_equal(f->config->settings.memory_limit, 1 << 30);
    assert_int_equal(f->config->settings.drain, 30000000);
    plex = &f->config->plex;
    assert_int_equal(plex->side, PLEX_SERVER);
    assert_int_equal(plex->features, PLEX_FEATURES_ALL & ~PLEX_INBOUND_OPENS);
    assert_int_equal(plex->window, 65536);
    assert_int_equal(plex->window_max, 16 << 20);
    assert_int_equal(plex->credit_limit, 64 << 20);
    assert_int_equal(plex->max_json, 16384);
    assert_int_equal(plex->max_substreams, 1024);
    assert_int_equal(plex->buffer_limit, 1 << 20);
    assert_int_equal(plex->stall_time, 10000000);
    assert_int_equal(plex->auth_timeout, 20000000);
    assert_int_equal(plex->frame_timeout, 30000000);
    assert_int_equal(plex->idle_timeout, 120000000);
    assert_int_equal(plex->ping_interval, 30000000);
    assert_int_equal(plex->ping_timeout, 15000000);
}

static void test_numbers_reach_the_engine(void **state)
{
    struct fixture *f = *state;
    const struct plex_config *plex;
    assert_int_equal(
        load_with(f, "--window 1k --window-max 2k --credit-limit 64k --max-json 65532 "
                     "--max-substreams 32767 --buffer-limit 64k --stall-timeout 1s "
                     "--auth-timeout 2s --frame-timeout 3s --idle-timeout 0 --ping-interval 0 "
                     "--ping-timeout 4s"),
        0);
    plex = &f->config->plex;
    assert_int_equal(plex->window, 1024);
    assert_int_equal(plex->window_max, 2048);
    assert_int_equal(plex->credit_limit, 65536);
    assert_int_equal(plex->max_json, 65532);
    assert_int_equal(plex->max_substreams, 32767);
    assert_int_equal(plex->buffer_limit, 65536);
    assert_int_equal(plex->stall_time, 1000000);
    assert_int_equal(plex->auth_timeout, 2000000);
    assert_int_equal(plex->frame_timeout, 3000000);
    assert_int_equal(plex->idle_timeout, 0);
    assert_int_equal(plex->ping_interval, 0);
    assert_int_equal(plex->ping_timeout, 4000000);
}

/* An operator who stops the reference and starts this, with nothing but its variables. */
static void test_reference_variables(void **state)
{
    struct fixture *f = *state;
    setenv("PORT", "6006", 1);
    setenv("CERT_FILE", "cert.pem", 1);
    setenv("KEY_FILE", "key.pem", 1);
    setenv("KEY_PASS", "pass, word", 1);
    setenv("AUTH_HARDCODED", "a,b c", 1);
    setenv("AUTH_TESSEL_OA2", "https://id:secret@auth.example", 1);
    setenv("NUM_WORKERS", "3", 1);
    assert_int_equal(load(f, ""), 0);
    assert_listens(f->config, 0, "[::]:6006");
    assert_string_equal(f->config->settings.certificate, "cert.pem");
    assert_string_equal(f->config->settings.key, "key.pem");
    assert_string_equal(f->config->settings.key_passphrase, "pass, word");
    assert_string_equal(owner_of(f->config, "a,b c"), "token-1"); /* one token, whole */
    assert_int_equal(f->config->tokens.count, 1);
    assert_string_equal(f->config->settings.oauth, "https://id:secret@auth.example");
    assert_int_equal(f->config->settings.workers, 3);
    assert_null(f->config->settings.state_folder); /* nothing to keep there */
    setenv("PORT", "http", 1);
    assert_fails(f, "", "PORT: \"http\" is not a value for --listen");
    setenv("STREAMPLEX_LISTEN", "127.0.0.1:1, [::1]:2", 1);
    assert_int_equal(load_with(f, ""), 0);
    assert_listens(f->config, 0, "127.0.0.1:1");
    assert_listens(f->config, 1, "[::1]:2");
}

static void test_empty_variables_are_not_set(void **state)
{
    static const char *const names[] = {"PORT",        "CERT_FILE",        "KEY_FILE",
                                        "KEY_PASS",    "AUTH_HARDCODED",   "AUTH_TESSEL_OA2",
                                        "NUM_WORKERS", "STREAMPLEX_LISTEN"};
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        setenv(names[i], "", 1);
    assert_int_equal(load_with(f, ""), 0);
    assert_listens(f->config, 0, "[::]:5005");
    assert_null(f->config->settings.certificate);
    assert_int_equal(f->config->tokens.count, 1);
}

static void test_errors(void **state)
{
    struct fixture *f = *state;
    assert_fails(f, "--cert x", "cert is given without key");
    assert_fails(f, "--key x", "key is given without cert");
    assert_fails(f, "--idle-timeout 119s", "idle-timeout must be 0 or at least 120s");
    assert_fails(f, "--window 2m --window-max 1m",
                 "window-max must be at least as large as window");
    assert_fails(f, "--window 1m --credit-limit 64k",
                 "credit-limit must be at least as large as window");
    assert_fails(f, "--listen nowhere",
                 "--listen: \"nowhere\" is not ADDR:PORT, [ADDR]:PORT or PORT");
    assert_fails(f, "--listen-old 1:2:3",
                 "--listen-old: \"1:2:3\" is not ADDR:PORT, [ADDR]:PORT or PORT");
    assert_fails(f, "--admin 192.0.2.1:80", "admin: 192.0.2.1:80 is not a loopback address");
    assert_fails(f, "--admin 80", "admin: 80 is not a loopback address");
    assert_fails(f, "--admin x", "--admin: \"x\" is not ADDR:PORT, [ADDR]:PORT or PORT");
    assert_fails(
        f, "--egress-deny 10.0.0.1/8",
        "--egress-deny: \"10.0.0.1/8\" is not a range of addresses like 192.0.2.0/24 (with no bits "
        "set beyond its length)");
    assert_fails(f, "--egress-allow 10.0.0.0/8:x",
                 "--egress-allow: \"x\" is not a port or range of ports from 1 to 65535");
    assert_fails(f, "--token-file /nonexistent/t",
                 "token-file: /nonexistent/t: No such file or directory");
    assert_fails(f, "--max-substreams 32768", "--max-substreams: must be from 1 to 32767");
    assert_fails(f, "--max-json 1023", "--max-json: must be from 1k to 65532");
    assert_fails(f, "--window 17m", "--window: must be from 1k to 16m");
    assert_fails(f, "--log-format xml", "--log-format: \"xml\" is none of text, json");
    assert_fails(f, "--lisen 80", "unknown option --lisen; did you mean --listen?");
    assert_fails(f, "80", "unexpected argument \"80\"; streamplex serve takes options alone");
    assert_int_equal(load_with(f, "--admin 127.0.0.1:0"), 0);
    assert_int_equal(load_with(f, "--admin [::1]:9000"), 0);
}

static void test_tokens_come_from_flags_and_file(void **state)
{
    struct fixture *f = *state;
    write_file(f, "tokens", "# fleet\nann:alpha\nbeta\n");
    assert_int_equal(load(f, "--state %/state --token-file %/tokens --token one:two --token x,y"),
                     0);
    assert_string_equal(owner_of(f->config, "one:two"),
                        "token-1"); /* a flag's token has no owner */
    assert_string_equal(owner_of(f->config, "x,y"), "token-2");
    assert_string_equal(owner_of(f->config, "alpha"), "ann");
    assert_string_equal(owner_of(f->config, "beta"), "token-4");
    assert_false(f->config->state_token);
    assert_false(exists(f, "state/token"));
    write_file(f, "tokens", "ok\nann:\n");
    assert_int_equal(load(f, "--token-file %/tokens"), -1);
    assert_non_null(strstr(f->error, "tokens:2: a token has 1 to 2048 bytes"));
    /* A named file that is empty accepts nobody; it doesn't bring the state folder's token into
     * force. */
    write_file(f, "tokens", "");
    assert_int_equal(load(f, "--state %/state --token-file %/tokens"), 0);
    assert_int_equal(f->config->tokens.count, 0);
    assert_false(f->config->state_token);
}

static void test_first_run_makes_a_token(void **state)
{
    struct fixture *f = *state;
    char path[128], token[128];
    struct stat info;
    FILE *file;
    assert_int_equal(load(f, "--state %/state"), 0);
    assert_true(f->config->state_token);
    assert_true(f->config->made_token);
    snprintf(path, sizeof path, "%s/state/token", f->folder);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(token, sizeof token, file));
    fclose(file);
    token[strcspn(token, "\n")] = '\0';
    assert_string_equal(owner_of(f->config, token), "token-1");
    /* the second run keeps it */
    assert_int_equal(load(f, "--state %/state"), 0);
    assert_true(f->config->state_token);
    assert_false(f->config->made_token);
    assert_string_equal(owner_of(f->config, token), "token-1");
}

static void test_looking_makes_nothing(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(load(f, "--state %/state --check-config"), 0);
    assert_int_equal(config_check(f->config, f->error, sizeof f->error), 0);
    assert_int_equal(load(f, "--state %/state --egress-explain 127.0.0.1:80"), 0);
    assert_false(exists(f, "state"));
}

static void test_check_looks_at_the_certificate(void **state)
{
    static const char *const names[] = {"localhost"};
    struct fixture *f = *state;
    char folder[128];
    assert_int_equal(
        load_with(f, "--check-config --cert /nonexistent/c.pem --key /nonexistent/k.pem"), 0);
    assert_int_equal(config_check(f->config, f->error, sizeof f->error), -1);
    assert_non_null(strstr(f->error, "/nonexistent/c.pem"));
    snprintf(folder, sizeof folder, "%s/state", f->folder);
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(pki_ensure_server(folder, names, 1, f->error, sizeof f->error), 0);
    assert_int_equal(
        load_with(f, "--check-config --cert %/state/server.pem --key %/state/server.key"), 0);
    assert_int_equal(config_check(f->config, f->error, sizeof f->error), 0);
    assert_int_equal(
        load_with(
            f,
            "--check-config --listen-old 5006 --cert %/state/server.pem --key %/state/server.key"),
        0);
    assert_int_equal(config_check(f->config, f->error, sizeof f->error), 0);
    /* a key of another certificate */
    assert_int_equal(load_with(f, "--check-config --cert %/state/server.pem --key %/state/ca.key"),
                     0);
    assert_int_equal(config_check(f->config, f->error, sizeof f->error), -1);
}

static void test_file(void **state)
{
    struct fixture *f = *state;
    write_file(f, "serve.ini",
               "listen = 127.0.0.1:1\n"
               "[serve]\n"
               "egress-deny = 8.8.8.0/24, 9.9.9.9:53\n"
               "egress-allow = [fd00::/8]:443\n"
               "token = first, second\n"
               "token = third\n"
               "log-level = debug\n"
               "log-format = json\n");
    assert_int_equal(load(f, "--state %/state --config %/serve.ini"), 0);
    assert_listens(f->config, 0, "127.0.0.1:1");
    assert_int_equal(f->config->egress.deny_count, 2);
    assert_string_equal(f->config->egress.deny[1].text, "9.9.9.9:53");
    assert_int_equal(f->config->egress.allow_count, 1);
    assert_string_equal(owner_of(f->config, "first, second"), "token-1");
    assert_string_equal(owner_of(f->config, "third"), "token-2");
    assert_int_equal(f->config->settings.log_level, LOG_DEBUG);
    assert_int_equal(f->config->settings.log_format, LOG_JSON_FORMAT);
}

static void test_references(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(load_with(f, ""), 0);
    assert_ptr_equal(config_ref(f->config), f->config);
    config_unref(f->config);
    assert_int_equal(f->config->references, 1);
    config_unref(NULL);
}

/* --- The edge --- */

static void test_edge_is_off_unless_it_listens(void **state)
{
    struct fixture *f = *state;
    static const char *const switches[] = {"--edge-http 127.0.0.1:0", "--edge-https 8443",
                                           "--shared-443 [::1]:443"};
    assert_int_equal(load_with(f, "--edge-domain x.example"), 0);
    assert_false(f->config->edge_on);
    assert_int_equal(f->config->plex.features & PLEX_INBOUND_OPENS, 0);
    for (size_t i = 0; i < sizeof switches / sizeof *switches; i++) {
        assert_int_equal(load_with(f, switches[i]), 0);
        assert_true(f->config->edge_on);
        assert_int_equal(f->config->plex.features, PLEX_FEATURES_ALL);
    }
    /* sockets are kept in the state folder, whatever else is named */
    assert_int_equal(load_with(f, "--edge-http 0 --cert c.pem --key k.pem"), 0);
    assert_true(exists(f, "state"));
}

static void test_edge_defaults(void **state)
{
    struct fixture *f = *state;
    const struct edge_config *edge;
    assert_int_equal(load_with(f, "--edge-http 127.0.0.1:0"), 0);
    edge = &f->config->edge;
    assert_string_equal(edge->domain, "edge.localhost");
    assert_int_equal(edge->trusted_count, 0);
    assert_null(edge->acme_webroot);
    assert_null(edge->access_log);
    assert_int_equal(edge->head_timeout, 15000000);
    assert_int_equal(edge->keepalive, 75000000);
    assert_int_equal(edge->handshake_timeout, 10000000);
    assert_int_equal(edge->answer_timeout, 60000000);
    assert_int_equal(edge->head_max, 16384);
    assert_int_equal(f->config->edge_first_port, 41000);
    assert_int_equal(f->config->edge_last_port, 41999);
    assert_true(IN6_IS_ADDR_UNSPECIFIED(&f->config->edge_bind.v6.sin6_addr));
    assert_int_equal(f->config->settings.max_sockets_per_owner, 100);
    assert_int_equal(f->config->settings.max_visitors_per_address, 16384);
}

/* One name for a state folder, that is a token (RFC 9110 5.6.2), and another for another. */
static void test_edge_names_itself_after_its_key(void **state)
{
    struct fixture *f = *state;
    char names[3][EDGE_CDN_ID_SIZE], key[128];
    for (int i = 0; i < 3; i++) {
        assert_int_equal(load_with(f, "--edge-http 127.0.0.1:0"), 0);
        assert_null(f->config->edge.cdn_id);
        assert_int_equal(config_name_edge(f->config, f->error, sizeof f->error), 0);
        strcpy(names[i], f->config->edge.cdn_id);
        snprintf(key, sizeof key, "%s/state/jwt.key", f->folder);
        if (i == 1)
            assert_int_equal(remove(key), 0);
    }
    assert_int_equal(strlen(names[0]), strlen("streamplex-") + 16);
    assert_int_equal(strspn(names[0], "streamplx-0123456789abcdef"), strlen(names[0]));
    assert_string_equal(names[0], names[1]);
    assert_string_not_equal(names[0], names[2]);
    /* A reload keeps it, whatever becomes of the key. */
    struct config *before = f->config;
    f->config = NULL;
    assert_int_equal(remove(key), 0);
    assert_int_equal(load_with(f, "--edge-http 127.0.0.1:0"), 0);
    config_keep_edge(f->config, before);
    config_unref(before);
    assert_string_equal(f->config->edge.cdn_id, names[2]);
    /* Without an edge no key is made. */
    assert_int_equal(load_with(f, ""), 0);
    assert_int_equal(config_name_edge(f->config, f->error, sizeof f->error), 0);
    assert_null(f->config->edge.cdn_id);
    assert_int_equal(access(key, F_OK), -1);
}

static void test_edge_settings_reach_the_edge(void **state)
{
    struct fixture *f = *state;
    const struct edge_config *edge;
    union address proxy;
    assert_int_equal(
        load_with(f, "--edge-http 127.0.0.1:80 --edge-http [::1]:80 --edge-domain T.Example "
                     "--edge-ports 50000-50001 --edge-bind 127.0.0.1 --trusted-proxies "
                     "10.0.0.0/8 --trusted-proxies ::1 --acme-webroot /srv/acme --head-timeout 1s "
                     "--keepalive-timeout 2s --answer-timeout 0 --max-head 8k "
                     "--edge-custom-domains *.Example.ORG --access-log %/access.log"),
        0);
    edge = &f->config->edge;
    assert_int_equal(f->config->edge_http_count, 2);
    assert_int_equal(address_port(&f->config->edge_http[1]), 80);
    assert_string_equal(edge->domain, "t.example");
    assert_string_equal(f->config->settings.edge_custom_domains.items[0], "*.example.org");
    assert_int_equal(f->config->edge_first_port, 50000);
    assert_int_equal(f->config->edge_last_port, 50001);
    assert_int_equal(f->config->edge_bind.any.sa_family, AF_INET);
    assert_int_equal(edge->trusted_count, 2);
    assert_int_equal(address_from_host("10.9.8.7", 1, &proxy), 0);
    assert_true(prefix_contains(&edge->trusted[0], &proxy));
    assert_int_equal(address_from_host("::1", 1, &proxy), 0);
    assert_true(prefix_contains(&edge->trusted[1], &proxy));
    assert_string_equal(edge->acme_webroot, "/srv/acme");
    assert_int_equal(edge->head_timeout, 1000000);
    assert_int_equal(edge->keepalive, 2000000);
    assert_int_equal(edge->answer_timeout, 0);
    assert_int_equal(edge->head_max, 8192);
    assert_non_null(edge->access_log);
    assert_true(exists(f, "access.log"));
}

static void test_ports_as_visitors_use_them(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(load_with(f, "--edge-https 0"), 0);
    config_set_edge_ports(f->config, 8080, 8443);
    assert_int_equal(f->config->edge_http_port, 8080);
    assert_int_equal(f->config->edge.https_port, 8443);
    assert_int_equal(load_with(f, "--edge-https 0 --edge-public-port 443"), 0);
    config_set_edge_ports(f->config, 0, 8443);
    assert_int_equal(f->config->edge_http_port, 0);
    assert_int_equal(f->config->edge.https_port, 443);
    config_set_edge_ports(f->config, 8080, 0); /* TLS is done by what is in front */
    assert_int_equal(f->config->edge.https_port, 443);
    assert_int_equal(f->config->edge_https_listener, 0);
}

static void test_a_reload_keeps_the_listeners_ports(void **state)
{
    struct fixture *f = *state;
    struct config *before;
    assert_int_equal(load_with(f, "--edge-https 0 --edge-public-port 443"), 0);
    config_set_edge_ports(f->config, 8080, 8443);
    before = config_ref(f->config);
    assert_int_equal(load_with(f, "--edge-https 0"), 0);
    config_keep_edge(f->config, before);
    assert_int_equal(f->config->edge_http_port, 8080);
    assert_int_equal(f->config->edge.https_port, 8443);
    config_unref(before);
    before = config_ref(f->config);
    assert_int_equal(load_with(f, "--edge-https 0 --edge-public-port 444"), 0);
    config_keep_edge(f->config, before);
    assert_int_equal(f->config->edge.https_port, 444);
    config_unref(before);
}

static void test_edge_errors(void **state)
{
    struct fixture *f = *state;
    assert_fails(f, "--edge-http x", "--edge-http: \"x\" is not ADDR:PORT, [ADDR]:PORT or PORT");
    assert_fails(f, "--edge-cert x", "edge-cert is given without edge-key");
    assert_fails(f, "--edge-key x", "edge-key is given without edge-cert");
    assert_fails(f, "--edge-ports 2-1",
                 "--edge-ports: \"2-1\" is not FIRST-LAST with ports of 1...65535, nor none");
    assert_fails(f, "--edge-domain -x", "--edge-domain: \"-x\" is not a host name");
    assert_fails(f, "--edge-bind 127.0.0.1:80",
                 "--edge-bind: \"127.0.0.1:80\" is not an address (it goes without a port)");
    assert_fails(f, "--edge-custom-domains *.*.x",
                 "--edge-custom-domains: \"*.*.x\" is not a host name, nor \"*.\" and a host name");
    assert_fails(
        f, "--trusted-proxies 10.0.0.1/8",
        "--trusted-proxies: \"10.0.0.1/8\" is not ADDRESS/BITS with only zeros after these "
        "bits, nor an address");
    assert_fails(f, "--edge-public-port 65536", "--edge-public-port: must be at most 65535");
    assert_fails(f, "--max-head 64", "--max-head: must be from 1k to 64k");
    assert_int_equal(load_with(f, "--edge-http 0 --access-log /nonexistent/log"), -1);
    assert_non_null(strstr(f->error, "/nonexistent/log"));
}

static void assert_check_fails(struct fixture *f, const char *line, const char *what)
{
    char whole[512];
    snprintf(whole, sizeof whole, "--check-config --edge-https 0 %s", line);
    assert_int_equal(load_with(f, whole), 0);
    assert_int_equal(config_check(f->config, f->error, sizeof f->error), -1);
    if (!strstr(f->error, what))
        fail_msg("\"%s\" doesn't tell of %s", f->error, what);
}

static void test_check_looks_at_the_edges_files(void **state)
{
    struct fixture *f = *state;
    char folder[128];
    assert_check_fails(f, "--edge-cert /nonexistent/c.pem --edge-key k", "/nonexistent/c.pem");
    assert_check_fails(f, "--edge-certs /nonexistent/certs", "/nonexistent/certs");
    assert_check_fails(f, "--acme-webroot /nonexistent/w", "acme-webroot: /nonexistent/w: No such");
    assert_check_fails(f, "--access-log /nonexistent/log", "access-log: /nonexistent/log: No such");
    snprintf(folder, sizeof folder, "%s/webroot", f->folder);
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(load_with(f, "--check-config --edge-https 0 --acme-webroot %/webroot "
                                  "--access-log %/access.log"),
                     0);
    assert_int_equal(config_check(f->config, f->error, sizeof f->error), 0);
    assert_false(exists(f, "access.log"));
    write_file(f, "access.log", "");
    assert_int_equal(config_check(f->config, f->error, sizeof f->error), 0);
    assert_check_fails(f, "--acme-webroot %/access.log", "Not a directory");
}

/* STREAMPLEX_MAX_JSON for --max-json; every value shown in the help has a placeholder; help ends in
 * a full stop. */
static void test_table_is_uniform(void **state)
{
    for (const struct setting *setting = serve_table.settings; setting->name; setting++) {
        char expected[80] = "STREAMPLEX_";
        size_t length = strlen(expected);
        for (const char *at = setting->name; *at; at++)
            expected[length++] = *at == '-' ? '_' : (char)toupper(*at);
        expected[length] = '\0';
        if (!strcmp(setting->name, "api")) /* STREAMPLEX_API is the commands', and a URL */
            strcat(expected, "_LISTEN");
        if (setting->environment)
            assert_string_equal(setting->environment, expected);
        assert_int_equal(setting->placeholder == NULL, setting->type == SETTING_FLAG);
        assert_int_equal(setting->choices != NULL, setting->type == SETTING_CHOICE);
        assert_int_equal(setting->help[strlen(setting->help) - 1], '.');
        assert_true(setting->offset < serve_table.size);
        assert_true(strlen(setting->name) <= 40);
        for (const struct setting *other = setting + 1; other->name; other++) {
            assert_string_not_equal(setting->name, other->name);
            assert_int_not_equal(setting->offset, other->offset);
        }
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_defaults),
        TEST(test_numbers_reach_the_engine),
        TEST(test_reference_variables),
        TEST(test_empty_variables_are_not_set),
        TEST(test_errors),
        TEST(test_tokens_come_from_flags_and_file),
        TEST(test_first_run_makes_a_token),
        TEST(test_looking_makes_nothing),
        TEST(test_check_looks_at_the_certificate),
        TEST(test_file),
        TEST(test_references),
        TEST(test_edge_is_off_unless_it_listens),
        TEST(test_edge_defaults),
        TEST(test_edge_settings_reach_the_edge),
        TEST(test_edge_names_itself_after_its_key),
        TEST(test_ports_as_visitors_use_them),
        TEST(test_a_reload_keeps_the_listeners_ports),
        TEST(test_edge_errors),
        TEST(test_check_looks_at_the_edges_files),
        TEST(test_table_is_uniform),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
