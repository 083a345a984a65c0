/* Requests to a server on the same loop, which answers what it is told to. */
#include "net_test.h"

#include <dlfcn.h>
#include <netdb.h>
#include <semaphore.h>
#include <sys/un.h>

#include "net/acceptor.h"
#include "net/http_client.h"
#include "net/poll.h"

#define SECRET "s3cr3t"

struct server {
    struct acceptor *acceptor;
    uint16_t port;
    struct tls_context *tls;
    const char *answer; /* NULL: none */
    bool keeps;         /* the connection, for more requests */
    int connections;
    int requests;
    size_t length;
    char request[4096]; /* the last one, while it comes */
    struct conn *open[8];
    size_t sent;
};

struct outcome {
    bool done;
    int status;
    size_t length;
    char body[256];
    char error[256];
};

static struct loop *loop;
static struct http_client *client;
static struct server server;

/* ---- the server ---- */

static void server_answer(struct conn *conn)
{
    size_t length = strlen(server.answer);
    while (server.sent < length) {
        size_t piece = length - server.sent < 16384 ? length - server.sent : 16384;
        ssize_t n = conn_write(conn, server.answer + server.sent, piece);
        if (n <= 0) {
            return;
        }
        server.sent += (size_t)n;
    }
    if (!server.keeps) {
        conn_shutdown(conn);
    }
}

static bool request_is_whole(void)
{
    const char *end = strstr(server.request, "\r\n\r\n");
    const char *header = strstr(server.request, "Content-Length: ");
    size_t body = header ? strtoul(header + strlen("Content-Length: "), NULL, 10) : 0;
    return end && server.length >= (size_t)(end - server.request) + 4 + body;
}

static void server_readable(struct conn *conn)
{
    ssize_t n;
    while ((n = conn_read(conn, server.request + server.length,
                          sizeof(server.request) - 1 - server.length)) > 0) {
        server.length += (size_t)n;
        server.request[server.length] = 0;
        if (request_is_whole()) {
            server.requests++;
            server.length = 0;
            server.sent = 0;
            if (server.answer) {
                server_answer(conn);
            }
        }
    }
}

static void server_writable(struct conn *conn)
{
    if (server.answer && server.requests) {
        server_answer(conn);
    }
}

static void server_quiet(struct conn *conn)
{
}

static const struct conn_callbacks server_callbacks = {.on_ready = server_quiet,
                                                       .on_readable = server_readable,
                                                       .on_writable = server_writable,
                                                       .on_hangup = server_quiet,
                                                       .on_failed = server_quiet};

static void accepted(struct acceptor *acceptor, int fd, const union address *peer, void *user)
{
    struct conn **conn = &server.open[server.connections++];
    assert_int_equal(0, conn_attach(loop, fd, NULL, 0, &server_callbacks, NULL, conn));
    if (server.tls) {
        assert_int_equal(0, conn_start_tls_server(*conn, server.tls));
    }
}

static int setup(void **state)
{
    union address address;
    memset(&server, 0, sizeof(server));
    assert_int_equal(0, loop_new(&loop));
    assert_int_equal(0, address_from_host("127.0.0.1", 0, &address));
    assert_int_equal(0, acceptor_open(loop, &address, accepted, NULL, &server.acceptor));
    acceptor_address(server.acceptor, &address);
    server.port = address_port(&address);
    assert_int_equal(0, http_client_new(loop, &client));
    return 0;
}

static int teardown(void **state)
{
    http_client_free(client);
    acceptor_close(server.acceptor);
    for (int i = 0; i < server.connections; i++) {
        conn_abort(server.open[i]);
    }
    tls_context_unref(server.tls);
    loop_free(loop);
    return 0;
}

/* ---- the client ---- */

static void on_done(void *user, int status, const char *body, size_t length, const char *error)
{
    struct outcome *outcome = user;
    assert_false(outcome->done);
    assert_int_equal(0, body[length]);
    outcome->done = true;
    outcome->status = status;
    outcome->length = length;
    snprintf(outcome->body, sizeof(outcome->body), "%s", body);
    snprintf(outcome->error, sizeof(outcome->error), "%s", error);
}

static struct http_request *start(const char *scheme, const char *path, const char *form,
                                  uint64_t timeout, struct outcome *outcome)
{
    char url[256];
    struct http_request *request;
    snprintf(url, sizeof(url), "%s://127.0.0.1:%u%s", scheme, server.port, path);
    struct http_client_options options = {.url = url, .form = form, .timeout = timeout};
    if (form) {
        options.user = "id";
        options.password = SECRET;
    }
    memset(outcome, 0, sizeof(*outcome));
    assert_int_equal(0, http_client_start(client, &options, on_done, outcome, &request));
    assert_false(outcome->done);
    return request;
}

static void run(const char *scheme, const char *path, const char *form, struct outcome *outcome)
{
    start(scheme, path, form, 10 * TEST_SECOND, outcome);
    test_run_until(loop, test_flag_holds, &outcome->done);
}

static void expect_failure(const struct outcome *outcome, const char *words)
{
    assert_int_equal(-1, outcome->status);
    assert_int_equal(0, outcome->length);
    assert_string_equal("", outcome->body);
    assert_non_null(strstr(outcome->error, words));
    assert_null(strstr(outcome->error, SECRET));
}

static void test_get(void **state)
{
    struct outcome outcome;
    server.answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    run("http", "/users/profile?access_token=" SECRET, NULL, &outcome);
    assert_int_equal(200, outcome.status);
    assert_string_equal("hello", outcome.body);
    assert_string_equal("", outcome.error);
    assert_non_null(strstr(server.request, "GET /users/profile?access_token=" SECRET " HTTP/1.1"));
    assert_null(strstr(server.request, "Authorization"));
}

static void test_post_with_basic_auth(void **state)
{
    struct outcome outcome;
    server.answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    run("http", "/oauth/token", "grant_type=x&api_key=y", &outcome);
    assert_int_equal(200, outcome.status);
    assert_non_null(strstr(server.request, "POST /oauth/token HTTP/1.1"));
    assert_non_null(strstr(server.request, "Authorization: Basic aWQ6czNjcjN0\r\n"));
    assert_non_null(strstr(server.request, "application/x-www-form-urlencoded"));
    assert_non_null(strstr(server.request, "\r\n\r\ngrant_type=x&api_key=y"));
}

/* ---- what a request may have beside its URL ---- */

/* Fills in the server's URL. */
static void run_options(struct http_client_options options, const char *scheme,
                        struct outcome *outcome)
{
    char url[256];
    struct http_request *request;
    snprintf(url, sizeof(url), "%s://127.0.0.1:%u/path", scheme, server.port);
    options.url = url;
    memset(outcome, 0, sizeof(*outcome));
    assert_int_equal(0, http_client_start(client, &options, on_done, outcome, &request));
    test_run_until(loop, test_flag_holds, &outcome->done);
}

static void test_method_body_and_headers(void **state)
{
    struct outcome outcome;
    static const char *const headers[] = {"X-Access-Token: " SECRET, "X-Second: a: b", NULL};
    server.answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    run_options((struct http_client_options){.method = "PUT",
                                             .body = "{\"a\":1}and more",
                                             .body_length = 7,
                                             .content_type = "application/json",
                                             .headers = headers},
                "http", &outcome);
    assert_int_equal(200, outcome.status);
    assert_non_null(strstr(server.request, "PUT /path HTTP/1.1\r\n"));
    assert_non_null(strstr(server.request, "\r\nContent-Type: application/json\r\n"));
    assert_non_null(strstr(server.request, "\r\nContent-Length: 7\r\n"));
    assert_non_null(strstr(server.request, "\r\nX-Access-Token: " SECRET "\r\n"));
    assert_non_null(strstr(server.request, "\r\nX-Second: a: b\r\n"));
    assert_non_null(strstr(server.request, "\r\n\r\n{\"a\":1}"));
    assert_null(strstr(server.request, "and more"));
}

static void test_methods_without_a_body(void **state)
{
    struct outcome outcome;
    server.answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    run_options((struct http_client_options){.method = "DELETE"}, "http", &outcome);
    assert_int_equal(200, outcome.status);
    assert_non_null(strstr(server.request, "DELETE /path HTTP/1.1\r\n"));
    assert_null(strstr(server.request, "Content-"));
    run_options((struct http_client_options){.method = "POST"}, "http", &outcome);
    assert_int_equal(200, outcome.status);
    assert_non_null(strstr(server.request, "POST /path HTTP/1.1\r\n"));
    assert_non_null(strstr(server.request, "\r\nContent-Length: 0\r\n"));
    assert_null(strstr(server.request, "Content-Type"));
    run_options((struct http_client_options){.body = "x", .body_length = 1}, "http", &outcome);
    assert_non_null(strstr(server.request, "POST /path HTTP/1.1\r\n"));
    server.answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    run_options((struct http_client_options){.method = "HEAD"}, "http", &outcome);
    assert_int_equal(200, outcome.status);
    assert_non_null(strstr(server.request, "HEAD /path HTTP/1.1\r\n"));
}

static void test_no_line_can_be_smuggled_in(void **state)
{
    static const char *const methods[] = {"", "GET /\r\n", "get", "GET ", "A\nB"};
    static const char *const types[] = {"text/plain\r\nX: y", "a\nb", "\x01"};
    static const char *const headers[] = {
        "X: y\r\nZ: z", "X: y\n", "X", "X:", "X: ", ": y", "X;", "X y: z", "X; y: z", ""};
    struct http_request *request = NULL;
    struct outcome outcome = {0};
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        struct http_client_options options = {.url = "http://127.0.0.1/", .method = methods[i]};
        assert_int_equal(-EINVAL, http_client_start(client, &options, on_done, &outcome, &request));
    }
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        struct http_client_options options = {
            .url = "http://127.0.0.1/", .body = "", .content_type = types[i]};
        assert_int_equal(-EINVAL, http_client_start(client, &options, on_done, &outcome, &request));
    }
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        const char *const list[] = {"Good: one", headers[i], NULL};
        struct http_client_options options = {.url = "http://127.0.0.1/", .headers = list};
        assert_int_equal(-EINVAL, http_client_start(client, &options, on_done, &outcome, &request));
    }
    assert_null(request);
}

static void test_bound_of_the_caller(void **state)
{
    static char answer[HTTP_CLIENT_BODY_MAX + 200];
    struct outcome outcome;
    int head = snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n",
                        HTTP_CLIENT_BODY_MAX + 1);
    memset(answer + head, 'x', HTTP_CLIENT_BODY_MAX + 1);
    server.answer = answer;
    run_options((struct http_client_options){.answer_max = HTTP_CLIENT_BODY_MAX + 1}, "http",
                &outcome);
    assert_int_equal(200, outcome.status);
    assert_int_equal(HTTP_CLIENT_BODY_MAX + 1, outcome.length);
    run_options((struct http_client_options){.answer_max = 5}, "http", &outcome);
    expect_failure(&outcome, "longer than 5 bytes");
}

static void local_ready(void *user, int listener, bool readable, bool writable)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
        accepted(NULL, fd, NULL, NULL);
    }
}

static void test_unix_socket(void **state)
{
    struct outcome outcome;
    struct poll *poll;
    char *folder = test_folder();
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", folder);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(0, bind(fd, (struct sockaddr *)(void *)&address, sizeof(address)));
    assert_int_equal(0, listen(fd, 8));
    assert_int_equal(0, poll_open(loop, fd, local_ready, NULL, &poll));
    poll_want(poll, true, false);
    setenv("http_proxy", "http://127.0.0.1:1/", 1);
    server.answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    run_options((struct http_client_options){.unix_path = address.sun_path}, "http", &outcome);
    unsetenv("http_proxy");
    assert_string_equal("", outcome.error);
    assert_string_equal("hello", outcome.body);
    assert_non_null(strstr(server.request, "GET /path HTTP/1.1\r\n"));
    poll_close(poll);
    close(fd);
    unlink(address.sun_path);
    run_options((struct http_client_options){.unix_path = address.sun_path}, "http", &outcome);
    expect_failure(&outcome, "connect");
    assert_int_equal(0, rmdir(folder));
    free(folder);
}

static void test_other_statuses_are_answers(void **state)
{
    struct outcome outcome;
    server.answer = "HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\nbad";
    run("http", "/", NULL, &outcome);
    assert_int_equal(400, outcome.status);
    assert_string_equal("bad", outcome.body);
    server.answer =
        "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
    run("http", "/", NULL, &outcome);
    assert_int_equal(302, outcome.status);
}

static void test_connection_is_kept(void **state)
{
    struct outcome outcome;
    server.keeps = true;
    server.answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    run("http", "/1", NULL, &outcome);
    run("http", "/2", NULL, &outcome);
    assert_int_equal(200, outcome.status);
    assert_int_equal(2, server.requests);
    assert_int_equal(1, server.connections);
}

static void test_nobody_listens(void **state)
{
    struct outcome outcome;
    uint16_t port = server.port;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    union address address;
    socklen_t size = sizeof(address);
    assert_int_equal(0, address_from_host("127.0.0.1", 0, &address));
    assert_int_equal(0, bind(fd, &address.any, address_size(&address)));
    assert_int_equal(0, getsockname(fd, &address.any, &size));
    server.port = address_port(&address);
    run("http", "/?access_token=" SECRET, "x", &outcome);
    expect_failure(&outcome, "connect");
    server.port = port;
    close(fd);
}

static void test_silent_server(void **state)
{
    struct outcome outcome;
    start("http", "/?access_token=" SECRET, NULL, 50000, &outcome);
    test_run_until(loop, test_flag_holds, &outcome.done);
    expect_failure(&outcome, "Timeout");
}

/* libcurl's lookups, in threads of its own, come here: that of "slow.test" lasts until the test
 * ends it. */
static sem_t slow_lookup_may_end;

__attribute__((visibility("default"))) int getaddrinfo(const char *name, const char *service,
                                                       const struct addrinfo *hints,
                                                       struct addrinfo **ret_result)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    if (name && strcmp(name, "slow.test") == 0) {
        sem_wait(&slow_lookup_may_end);
        return EAI_AGAIN;
    }
    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    return real(name, service, hints, ret_result);
}

static void test_slow_lookup_is_given_up(void **state)
{
    struct outcome outcome = {0}, cancelled = {0};
    struct http_request *request;
    struct http_client_options options = {.url = "http://slow.test/", .timeout = 50000};
    assert_int_equal(0, sem_init(&slow_lookup_may_end, 0, 0));
    assert_int_equal(0, http_client_start(client, &options, on_done, &outcome, &request));
    test_run_until(loop, test_flag_holds, &outcome.done);
    expect_failure(&outcome, "Timeout");
    assert_int_equal(0, http_client_start(client, &options, on_done, &cancelled, &request));
    test_run_for(loop, 10000);
    http_client_cancel(request);
    assert_false(cancelled.done);
    sem_post(&slow_lookup_may_end);
    sem_post(&slow_lookup_may_end);
}

static void test_answer_is_limited(void **state)
{
    static char answer[HTTP_CLIENT_BODY_MAX + 200];
    struct outcome outcome;
    int head = snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n",
                        HTTP_CLIENT_BODY_MAX);
    memset(answer + head, 'x', HTTP_CLIENT_BODY_MAX);
    server.answer = answer;
    run("http", "/", NULL, &outcome);
    assert_int_equal(200, outcome.status);
    assert_int_equal(HTTP_CLIENT_BODY_MAX, outcome.length);
    head = snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n",
                    HTTP_CLIENT_BODY_MAX + 1);
    memset(answer + head, 'x', HTTP_CLIENT_BODY_MAX + 1);
    run("http", "/", NULL, &outcome);
    expect_failure(&outcome, "longer than");
}

static void test_answer_that_breaks_off(void **state)
{
    struct outcome outcome;
    server.answer = "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello";
    run("http", "/", NULL, &outcome);
    expect_failure(&outcome, "");
    assert_true(outcome.error[0]);
}

static void test_other_protocols_are_refused(void **state)
{
    static const char *const urls[] = {"file:///etc/passwd", "ftp://127.0.0.1/", "http://[bad/",
                                       "https://id:" SECRET "/x@127.0.0.1/"};
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        struct outcome outcome = {0};
        struct http_request *request;
        struct http_client_options options = {.url = urls[i], .timeout = TEST_SECOND};
        assert_int_equal(0, http_client_start(client, &options, on_done, &outcome, &request));
        test_run_until(loop, test_flag_holds, &outcome.done);
        expect_failure(&outcome, "");
        assert_true(outcome.error[0]);
    }
}

/* A client made while SSL_CERT_FILE names `file`. */
static void make_client_trusting(const char *file)
{
    http_client_free(client);
    assert_int_equal(0, setenv("SSL_CERT_FILE", file, 1));
    assert_int_equal(0, setenv("SSL_CERT_DIR", "/nonexistent", 1));
    assert_int_equal(0, http_client_new(loop, &client));
    unsetenv("SSL_CERT_FILE");
    unsetenv("SSL_CERT_DIR");
}

static void listen_with_tls(const char *folder, const char *name)
{
    char error[256] = "";
    const char *names[] = {name};
    assert_int_equal(0, pki_ensure_server(folder, names, 1, error, sizeof(error)));
    struct tls_server_options options = {.certificate_file = test_path(folder, "server.pem"),
                                         .key_file = test_path(folder, "server.key")};
    assert_int_equal(0, tls_server_new(&options, &server.tls, error, sizeof(error)));
    server.answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
}

static void test_https_trusts_the_systems_authorities(void **state)
{
    struct outcome outcome;
    char *folder = test_folder();
    listen_with_tls(folder, "127.0.0.1");
    run("https", "/?access_token=" SECRET, NULL, &outcome);
    expect_failure(&outcome, "certificate");
    make_client_trusting(test_path(folder, "ca.pem"));
    run("https", "/?access_token=" SECRET, NULL, &outcome);
    assert_string_equal("", outcome.error);
    assert_int_equal(200, outcome.status);
    assert_string_equal("hello", outcome.body);
    test_remove_folder(folder);
}

static void test_https_trusts_a_file_instead(void **state)
{
    struct outcome outcome;
    char *folder = test_folder(), *other = test_folder();
    char error[256];
    const char *names[] = {"127.0.0.1"};
    listen_with_tls(folder, "127.0.0.1");
    assert_int_equal(0, pki_ensure_server(other, names, 1, error, sizeof(error)));
    server.keeps = true;
    make_client_trusting(test_path(folder, "ca.pem"));
    struct http_client_options good = {.ca_file = test_path(folder, "ca.pem")};
    struct http_client_options bad = {.ca_file = test_path(other, "ca.pem")};
    struct http_client_options missing = {.ca_file = test_path(other, "none.pem")};
    run_options(good, "https", &outcome);
    assert_string_equal("", outcome.error);
    assert_string_equal("hello", outcome.body);
    run_options(bad, "https", &outcome); /* neither the system's CAs nor a kept connection help */
    expect_failure(&outcome, "certificate");
    run_options(missing, "https", &outcome);
    expect_failure(&outcome, "");
    make_client_trusting(test_path(other, "ca.pem"));
    run_options(good, "https", &outcome);
    assert_string_equal("hello", outcome.body);
    run_options((struct http_client_options){0}, "https", &outcome);
    expect_failure(&outcome, "certificate");
    test_remove_folder(folder);
    test_remove_folder(other);
}

static void test_https_checks_the_name(void **state)
{
    struct outcome outcome;
    char *folder = test_folder();
    listen_with_tls(folder, "other.test");
    make_client_trusting(test_path(folder, "ca.pem"));
    run("https", "/?access_token=" SECRET, NULL, &outcome);
    expect_failure(&outcome, "127.0.0.1");
    test_remove_folder(folder);
}

static void test_cancelled(void **state)
{
    struct outcome cancelled, other;
    server.answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    http_client_cancel(start("http", "/1", NULL, TEST_SECOND, &cancelled));
    http_client_cancel(NULL);
    run("http", "/2", NULL, &other);
    assert_true(other.done);
    assert_false(cancelled.done);
}

static void free_client(void *user, int status, const char *body, size_t length, const char *error)
{
    bool *done = user;
    http_client_free(client);
    client = NULL;
    assert_string_equal("hello", body);
    *done = true;
}

static void test_freed_by_a_callback(void **state)
{
    struct outcome other;
    struct http_request *request;
    bool done = false;
    char url[64];
    server.answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/", server.port);
    struct http_client_options options = {.url = url};
    assert_int_equal(0, http_client_start(client, &options, free_client, &done, &request));
    test_run_until(loop, test_flag_holds, &done);
    assert_int_equal(0, http_client_new(loop, &client));
    start("http", "/", NULL, TEST_SECOND, &other); /* open when all is freed */
}

static void test_escape(void **state)
{
    char *escaped = http_client_escape("aZ09-._~ &=%/\xc3\xa4");
    assert_string_equal("aZ09-._~%20%26%3D%25%2F%C3%A4", escaped);
    free(escaped);
}

int main(void)
{
    static const char *const proxies[] = {"http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY",
                                          "ALL_PROXY"};
    for (size_t i = 0; i < sizeof(proxies) / sizeof(proxies[0]); i++) {
        unsetenv(proxies[i]);
    }
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_get),
        TEST(test_post_with_basic_auth),
        TEST(test_method_body_and_headers),
        TEST(test_methods_without_a_body),
        TEST(test_no_line_can_be_smuggled_in),
        TEST(test_bound_of_the_caller),
        TEST(test_unix_socket),
        TEST(test_other_statuses_are_answers),
        TEST(test_connection_is_kept),
        TEST(test_nobody_listens),
        TEST(test_silent_server),
        TEST(test_slow_lookup_is_given_up),
        TEST(test_answer_is_limited),
        TEST(test_answer_that_breaks_off),
        TEST(test_other_protocols_are_refused),
        TEST(test_https_trusts_the_systems_authorities),
        TEST(test_https_trusts_a_file_instead),
        TEST(test_https_checks_the_name),
        TEST(test_cancelled),
        TEST(test_freed_by_a_callback),
        TEST(test_escape),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
