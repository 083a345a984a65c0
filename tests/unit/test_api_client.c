/* The commands' requests, to a server on a thread of its own, which answers what it is told to. */
#include "net_test.h"

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/un.h>

#include "agent/api_client.h"
#include "net/acceptor.h"
#include "net/poll.h"

#define LOGIN "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.c2ln"

/* Between the requests the test's, during them the thread's. */
static struct {
    struct loop *loop;
    pthread_t thread;
    struct acceptor *acceptor;
    struct tls_context *tls;
    uint16_t port;
    char *folder;
    int local; /* a unix socket that listens */
    struct poll *poll;
    char path[128];
    const char *answer;
    int requests, connections;
    size_t length;
    char request[8192];
    struct conn *open[32];
} server;

static char error[512];

/* --- The server --- */

/* Question and answer keep the two threads from touching `server` at once; this says so to who
 * watches memory alone. */
static void take_turns(void)
{
    static atomic_int turns;
    atomic_fetch_add(&turns, 1);
}

static bool is_whole(void)
{
    const char *end = strstr(server.request, "\r\n\r\n");
    const char *body = strstr(server.request, "Content-Length: ");
    size_t wanted = body ? strtoul(body + 16, NULL, 10) : 0;
    return end && server.length >= (size_t)(end - server.request) + 4 + wanted;
}

static void on_readable(struct conn *conn)
{
    char answer[1200];
    ssize_t got;
    take_turns();
    while ((got = conn_read(conn, server.request + server.length,
                            sizeof server.request - 1 - server.length)) > 0)
        server.length += (size_t)got;
    if (!server.length) /* the client has gone */
        return;
    server.request[server.length] = 0;
    if (!is_whole())
        return;
    server.requests++;
    server.length = 0;
    int length = snprintf(answer, sizeof answer, "%s", server.answer);
    take_turns(); /* from the answer's last byte on all is the test's again */
    assert_int_equal(length, conn_write(conn, answer, (size_t)length));
}

static void quiet(struct conn *conn)
{
}

static void take(int fd)
{
    static const struct conn_callbacks callbacks = {.on_ready = quiet,
                                                    .on_readable = on_readable,
                                                    .on_writable = quiet,
                                                    .on_hangup = quiet,
                                                    .on_failed = quiet};
    struct conn **conn = &server.open[server.connections++];
    assert_int_equal(0, conn_attach(server.loop, fd, NULL, 0, &callbacks, NULL, conn));
    if (server.tls)
        assert_int_equal(0, conn_start_tls_server(*conn, server.tls));
}

static void on_accept(struct acceptor *acceptor, int fd, const union address *peer, void *user)
{
    take(fd);
}

static void on_local(void *user, int listener, bool readable, bool writable)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0)
        take(fd);
}

static void *run_server(void *user)
{
    loop_run(server.loop);
    return NULL;
}

static void listen_locally(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", server.folder);
    snprintf(server.path, sizeof server.path, "%s", address.sun_path);
    server.local = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(0, bind(server.local, (struct sockaddr *)(void *)&address, sizeof address));
    assert_int_equal(0, listen(server.local, 8));
    assert_int_equal(0, poll_open(server.loop, server.local, on_local, NULL, &server.poll));
    poll_want(server.poll, true, false);
}

static int start(bool with_tls)
{
    union address address;
    const char *names[] = {"127.0.0.1"};
    memset(&server, 0, sizeof server);
    server.folder = test_folder();
    assert_int_equal(0, loop_new(&server.loop));
    assert_int_equal(0, pki_ensure_server(server.folder, names, 1, error, sizeof error));
    struct tls_server_options options = {.certificate_file = test_path(server.folder, "server.pem"),
                                         .key_file = test_path(server.folder, "server.key")};
    if (with_tls)
        assert_int_equal(0, tls_server_new(&options, &server.tls, error, sizeof error));
    assert_int_equal(0, address_from_host("127.0.0.1", 0, &address));
    assert_int_equal(0, acceptor_open(server.loop, &address, on_accept, NULL, &server.acceptor));
    acceptor_address(server.acceptor, &address);
    server.port = address_port(&address);
    listen_locally();
    return pthread_create(&server.thread, NULL, run_server, NULL);
}

static int setup(void **state)
{
    return start(false);
}

static int setup_tls(void **state)
{
    return start(true);
}

static void stop(struct loop_message *message)
{
    loop_stop(server.loop);
}

static int teardown(void **state)
{
    struct loop_message message = {.run = stop};
    loop_post(server.loop, &message);
    pthread_join(server.thread, NULL);
    acceptor_close(server.acceptor);
    poll_close(server.poll);
    close(server.local);
    for (int i = 0; i < server.connections; i++)
        conn_abort(server.open[i]);
    tls_context_unref(server.tls);
    loop_free(server.loop);
    unlink(server.path);
    test_remove_folder(server.folder);
    return 0;
}

/* --- The client --- */

static struct api_client *make(const char *scheme, const char *prefix, const char *ca,
                               const char *login)
{
    char url[128];
    struct api_client *client = NULL;
    snprintf(url, sizeof url, "%s://127.0.0.1:%u%s", scheme, server.port, prefix);
    struct api_client_options options = {.url = url, .ca = ca, .login = login};
    assert_int_equal(0, api_client_new(&options, &client, error, sizeof error));
    return client;
}

static int asked(struct api_client *client, const char *method, const char *path, json_t *body,
                 json_t **ret_answer, char *text, size_t text_size)
{
    take_turns();
    int result = api_client_ask(client, method, path, body, ret_answer, text, text_size);
    take_turns();
    return result;
}

/* status: "404 Not Found" */
static const char *reply(const char *status, const char *body)
{
    static char text[1024];
    snprintf(text, sizeof text, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n%s", status,
             strlen(body), body);
    return text;
}

static int ask(struct api_client *client, const char *answer, json_t **ret_answer)
{
    json_t *ignored = NULL;
    server.answer = answer;
    error[0] = 0;
    int result = asked(client, "GET", "/socket", NULL, ret_answer ? ret_answer : &ignored, error,
                       sizeof error);
    json_decref(ignored);
    return result;
}

static void test_json_goes_both_ways(void **state)
{
    json_t *answer = NULL, *body = json_pack("{s:s}", "name", "a \"b\" \xc3\xa4");
    struct api_client *client = make("http", "/v1/", NULL, LOGIN);
    server.answer = reply("201 Created", "{\"a\":[]}");
    assert_int_equal(API_CLIENT_OK, asked(client, "POST", "/socket/7%2F8/tunnel", body, &answer,
                                          error, sizeof error));
    assert_true(json_is_array(json_object_get(answer, "a")));
    json_decref(answer);
    json_decref(body);
    assert_non_null(strstr(server.request, "POST /v1/socket/7%2F8/tunnel HTTP/1.1\r\n"));
    assert_non_null(strstr(server.request, "\r\nContent-Type: application/json\r\n"));
    assert_non_null(strstr(server.request, "\r\nAuthorization: Bearer " LOGIN "\r\n"));
    assert_non_null(strstr(server.request, "\r\nx-access-token: " LOGIN "\r\n"));
    assert_null(strstr(server.request, "Expect"));
    assert_non_null(strstr(server.request, "\r\n\r\n{\"name\":\"a \\\"b\\\" \xc3\xa4\"}"));
    api_client_free(client);
}

static void test_one_after_another(void **state)
{
    static const char *const methods[] = {"GET",  "PUT", "GET",    "DELETE",
                                          "POST", "GET", "DELETE", "PATCH"};
    struct api_client *client = make("http", "", NULL, NULL);
    json_t *body = json_object();
    server.answer = "HTTP/1.1 204 No Content\r\n\r\n";
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        json_t *answer = NULL;
        char line[64];
        bool has_body = i == 1;
        snprintf(line, sizeof line, "%s /x HTTP/1.1\r\n", methods[i]);
        assert_int_equal(API_CLIENT_OK, asked(client, methods[i], "/x", has_body ? body : NULL,
                                              &answer, error, sizeof error));
        assert_null(answer);
        assert_memory_equal(line, server.request, strlen(line));
        assert_true(has_body == (strstr(server.request, "\r\n\r\n{}") != NULL));
        assert_null(strstr(server.request, "Authorization"));
        assert_null(strstr(server.request, "x-access-token"));
    }
    assert_int_equal(1, server.connections);
    json_decref(body);
    api_client_free(client);
}

static void test_the_servers_sentence(void **state)
{
    struct api_client *client = make("http", "", NULL, LOGIN);
    json_t *answer = NULL;
    assert_int_equal(
        API_CLIENT_REFUSED,
        ask(client,
            reply("404 Not Found",
                  "{\"error\":{\"code\":\"unknown\",\"message\":\"no such socket: 7\"}} "),
            &answer));
    assert_string_equal("no such socket: 7", error);
    assert_null(answer);
    assert_int_equal(
        API_CLIENT_LOGIN,
        ask(client, reply("401 Unauthorized", "{\"error\":{\"message\":\"log in again\"}}"), NULL));
    api_client_free(client);
}

static void test_refusals_of_other_forms(void **state)
{
    static const char *const bodies[] = {
        "",
        "<html>",
        "null",
        "{\"error\":\"text\"",
        "{\"error\":\"text\"}",
        "{\"error\":{\"message\":[]}}",
        "{\"error\":{\"message\":\"\"}}",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        struct api_client *client = make("http", "", NULL, LOGIN);
        assert_int_equal(API_CLIENT_REFUSED, ask(client, reply("500 Oops", bodies[i]), NULL));
        assert_string_equal("the server answered 500 and no more: is the API there?", error);
        api_client_free(client);
    }
}

static void test_a_sentence_does_not_command_the_terminal(void **state)
{
    struct api_client *client = make("http", "", NULL, LOGIN);
    assert_int_equal(
        API_CLIENT_REFUSED,
        ask(client,
            reply("400 Bad",
                  "{\"error\":{\"message\":\"\\u001b[2Ja\\nb\\u009bc \xc3\xa4\\u007f\"}}     "),
            NULL));
    assert_string_equal("?[2Ja?b?c \xc3\xa4?", error);
    api_client_free(client);
}

static void test_what_is_no_api(void **state)
{
    struct api_client *client = make("http", "", NULL, LOGIN);
    assert_int_equal(API_CLIENT_UNREACHABLE, ask(client, reply("200 OK", "<html>"), NULL));
    assert_non_null(strstr(error, "JSON"));
    assert_int_equal(API_CLIENT_UNREACHABLE,
                     ask(client,
                         "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n"
                         "Content-Length: 0\r\n\r\n",
                         NULL));
    assert_non_null(strstr(error, "302"));
    assert_int_equal(2, server.requests); /* the redirect isn't followed */
    assert_int_equal(API_CLIENT_UNREACHABLE, ask(client, "no HTTP\r\n\r\n", NULL));
    assert_true(error[0]);
    api_client_free(client);
}

static void test_paths_are_one_line(void **state)
{
    static const char *const paths[] = {
        "", "socket", "/a b", "/a\r\nX: y", "/\xc3\xa4", "/a#b", "@elsewhere.test/"};
    struct api_client *client = make("http", "", NULL, LOGIN);
    json_t *answer = NULL;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        assert_int_equal(API_CLIENT_REFUSED,
                         asked(client, "GET", paths[i], NULL, &answer, error, sizeof error));
    server.answer = "HTTP/1.1 204 No Content\r\n\r\n";
    assert_int_equal(API_CLIENT_OK,
                     asked(client, "GET", "/socket/../user", NULL, &answer, error, sizeof error));
    assert_non_null(strstr(server.request, "GET /socket/../user HTTP/1.1\r\n"));
    assert_int_equal(1, server.requests);
    api_client_free(client);
}

static void test_options_that_cannot_be(void **state)
{
    static const char *const urls[] = {
        "",
        "api.example",
        "http://api.example/",
        "http://127.0.0.1.example/",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "https://user:" LOGIN "@api.example/",
        "https://api.example/?a=b",
        "https://api.example/#a",
        "https://[bad/",
    };
    struct api_client *client = NULL;
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        struct api_client_options options = {.url = urls[i]};
        error[0] = 0;
        assert_int_equal(-1, api_client_new(&options, &client, error, sizeof error));
        assert_true(error[0]);
        assert_null(strstr(error, LOGIN));
    }
    struct api_client_options none = {0};
    assert_int_equal(-1, api_client_new(&none, &client, error, sizeof error));
    struct api_client_options lines = {.url = "https://api.example", .login = "a\r\nX: y"};
    assert_int_equal(-1, api_client_new(&lines, &client, error, sizeof error));
    assert_null(client);
    static const char *const good[] = {"http://localhost:1/", "http://127.8.8.8", "http://[::1]:1",
                                       "https://api.example/a/b"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct api_client_options options = {.url = good[i]};
        assert_int_equal(0, api_client_new(&options, &client, error, sizeof error));
        api_client_free(client);
    }
    api_client_free(NULL);
}

static void test_nobody_listens(void **state)
{
    union address address;
    socklen_t size = sizeof address;
    uint16_t port = server.port;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(0, address_from_host("127.0.0.1", 0, &address));
    assert_int_equal(0, bind(fd, &address.any, address_size(&address)));
    assert_int_equal(0, getsockname(fd, &address.any, &size));
    server.port = address_port(&address);
    struct api_client *client = make("http", "", NULL, LOGIN);
    assert_int_equal(API_CLIENT_UNREACHABLE, ask(client, "", NULL));
    assert_non_null(strstr(error, "connect"));
    api_client_free(client);
    server.port = port;
    close(fd);
}

static void test_admin_socket(void **state)
{
    struct api_client_options options = {.unix_path = server.path};
    struct api_client *client = NULL;
    json_t *answer = NULL;
    assert_int_equal(0, api_client_new(&options, &client, error, sizeof error));
    setenv("http_proxy", "http://127.0.0.1:1/", 1);
    assert_int_equal(API_CLIENT_OK, ask(client, reply("200 OK", "[]"), &answer));
    unsetenv("http_proxy");
    assert_true(json_is_array(answer));
    json_decref(answer);
    assert_non_null(strstr(server.request, "GET /socket HTTP/1.1\r\nHost: localhost\r\n"));
    api_client_free(client);
}

static void test_loopback_is_not_asked_through_a_proxy(void **state)
{
    struct api_client *client = make("http", "", NULL, LOGIN);
    setenv("http_proxy", "http://127.0.0.1:1/", 1);
    assert_int_equal(API_CLIENT_OK, ask(client, "HTTP/1.1 204 No Content\r\n\r\n", NULL));
    unsetenv("http_proxy");
    api_client_free(client);
}

static void test_https_trusts_the_file(void **state)
{
    struct api_client *client = make("https", "", NULL, LOGIN);
    assert_int_equal(API_CLIENT_UNREACHABLE, ask(client, "", NULL));
    assert_non_null(strstr(error, "certificate"));
    assert_int_equal(0, server.requests);
    api_client_free(client);
    client = make("https", "", test_path(server.folder, "ca.pem"), LOGIN);
    assert_int_equal(API_CLIENT_OK, ask(client, "HTTP/1.1 204 No Content\r\n\r\n", NULL));
    api_client_free(client);
    client = make("https", "", test_path(server.folder, "none.pem"), LOGIN);
    assert_int_equal(API_CLIENT_UNREACHABLE, ask(client, "", NULL));
    api_client_free(client);
    setenv("SSL_CERT_FILE", test_path(server.folder, "ca.pem"), 1);
    client = make("https", "", NULL, LOGIN);
    unsetenv("SSL_CERT_FILE");
    assert_int_equal(API_CLIENT_OK, ask(client, "HTTP/1.1 204 No Content\r\n\r\n", NULL));
    api_client_free(client);
}

int main(void)
{
    static const char *const names[] = {"http_proxy", "https_proxy", "all_proxy",    "HTTPS_PROXY",
                                        "ALL_PROXY",  "no_proxy",    "SSL_CERT_FILE"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unsetenv(names[i]);
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_json_goes_both_ways),
        TEST(test_one_after_another),
        TEST(test_the_servers_sentence),
        TEST(test_refusals_of_other_forms),
        TEST(test_a_sentence_does_not_command_the_terminal),
        TEST(test_what_is_no_api),
        TEST(test_paths_are_one_line),
        TEST(test_options_that_cannot_be),
        TEST(test_nobody_listens),
        TEST(test_admin_socket),
        TEST(test_loopback_is_not_asked_through_a_proxy),
        cmocka_unit_test_setup_teardown(test_https_trusts_the_file, setup_tls, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
