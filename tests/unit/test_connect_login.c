/* `connect` by a login: which sockets are made, found, and taken back. */
#include "agent/connect_login.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "captured.h"
#include "fake_api.h"
#include "login_home.h"

static struct connect_request request;
static struct connect_login login;

static int begin(void **state)
{
    static const char *const variables[] = {
        "STREAMPLEX_API",        "STREAMPLEX_TOKEN", "PROXY_TOKEN",      "TM_API_KEY",
        "STREAMPLEX_TOKEN_FILE", "PROXY_HOST",       "STREAMPLEX_SERVER"};
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++)
        unsetenv(variables[i]);
    return home_make(state);
}

static int end(void **state)
{
    captured_free();
    return home_remove(state);
}

static void keep_login(void)
{
    const struct login kept = {.token = "eyJ.t.s", .api = "https://api.x", .ca = "/ca.pem"};
    char folder[256], error[256];
    assert_int_equal(login_store_folder(folder, sizeof folder, error, sizeof error), 0);
    assert_int_equal(login_store_write(folder, &kept, error, sizeof error), 0);
}

static enum client_status connect_with(char **argv)
{
    char error[512];
    int argc = 0;
    while (argv[argc])
        argc++;
    if (connect_request_read(&request, argc, argv, "box", error, sizeof error) < 0)
        fail_msg("%s", error);
    assert_true(request.with_login);
    captured_free();
    captured_begin();
    enum client_status status = connect_login_begin(&login, &request);
    captured_end();
    return status;
}

#define CONNECT(...) connect_with((char *[]){"connect", __VA_ARGS__, NULL})

static void finish(const char *token)
{
    connect_login_end(&login, token);
    connect_request_deinit(&request);
    FAKE_API_DONE();
}

#define MADE                                                                                       \
    "{\"socket_id\":\"s1\",\"dnsname\":\"a.example\",\"name\":\"box-80\",\"socket_type\":"         \
    "\"https\","                                                                                   \
    "\"tunnels\":[{\"tunnel_id\":\"t1\",\"tunnel_server\":\"tunnel.x:5006\"}]}"

static void test_a_socket_is_made_and_deleted(void **state)
{
    keep_login();
    FAKE_API({"GET", "/socket", NULL, API_CLIENT_OK, "[]"},
             {"POST", "/connect", "{\"name\":\"box-80\",\"socket_type\":\"https\"}", API_CLIENT_OK,
              MADE},
             {"DELETE", "/socket/s1", NULL, API_CLIENT_OK, NULL});
    assert_int_equal(CONNECT("--port=80"), CLIENT_DONE);
    assert_string_equal(captured.out, "+-----------+-----------+--------+\n"
                                      "| socket_id | dns_name  | name   |\n"
                                      "+-----------+-----------+--------+\n"
                                      "| s1        | a.example | box-80 |\n"
                                      "+-----------+-----------+--------+\n");
    assert_string_equal(request.reach.server.host, "tunnel.x");
    assert_int_equal(request.reach.server.port, 5006);
    assert_string_equal(request.reach.token, "eyJ.t.s");
    assert_string_equal(request.reach.ca_file, "/ca.pem");
    finish("eyJ.newer.s");
    assert_string_equal(fake_api.login, "eyJ.newer.s");
}

static void test_a_socket_that_is_there_stays(void **state)
{
    keep_login();
    FAKE_API({"GET", "/socket", NULL, API_CLIENT_OK,
              "[{\"name\":\"other\"},{\"socket_id\":\"s2\",\"name\":\"box-80\",\"socket_type\":"
              "\"https\",\"https_only\":true,\"host_header\":\"h\"}]"},
             {"PUT", "/socket/s2", "{\"description\":\"d\"}", API_CLIENT_OK, "{}"},
             {"POST", "/socket/s2/tunnel", "{}", API_CLIENT_OK,
              "{\"tunnel_id\":\"t7\",\"tunnel_server\":\"tunnel.x\"}"},
             {"DELETE", "/socket/s2/tunnel/t7", NULL, API_CLIENT_OK, NULL});
    assert_int_equal(CONNECT("--port=80", "--description=d"), CLIENT_DONE);
    assert_int_equal(request.reach.server.port, 5005);
    /* it is registered as it is */
    assert_true(request.services.items[0].settings.https_only);
    assert_string_equal(request.services.items[0].settings.host_header, "h");
    finish(NULL);
}

static void test_a_socket_of_another_type(void **state)
{
    keep_login();
    FAKE_API({"GET", "/socket", NULL, API_CLIENT_OK,
              "[{\"socket_id\":\"s2\",\"name\":\"box-80\",\"socket_type\":\"tcp\"}]"});
    assert_int_equal(CONNECT("--port=80"), CLIENT_WRONG);
    assert_non_null(strstr(captured.error, "give --type tcp"));
    finish(NULL);
}

static void test_a_protected_one(void **state)
{
    keep_login();
    FAKE_API(
        {"GET", "/socket", NULL, API_CLIENT_OK, "[]"},
        {"POST", "/connect",
         "{\"hostname\":\"x\",\"name\":\"n\",\"protected_password\":\"pw\",\"protected_socket\":"
         "true,\"protected_username\":\"u\",\"socket_type\":\"https\"}",
         API_CLIENT_OK, MADE},
        {"DELETE", "/socket/s1", NULL, API_CLIENT_OK, NULL});
    assert_int_equal(CONNECT("--port=80", "--name=n", "--hostname=x", "--protected", "--username=u",
                             "--password=pw", "--json", "--server=here:1"),
                     CLIENT_DONE);
    assert_int_equal(strncmp(captured.out, "{\"socket\":{", 11), 0);
    assert_string_equal(request.reach.server.host, "here");
    finish(NULL);
}

static void test_refused_at_the_second_service(void **state)
{
    FILE *file = fopen(home_path("file"), "w");
    fputs("[one]\nport = 1\n[two]\nport = 2\n", file);
    fclose(file);
    keep_login();
    FAKE_API(
        {"GET", "/socket", NULL, API_CLIENT_OK, "[]"},
        {"POST", "/connect", "{\"name\":\"one\",\"socket_type\":\"https\"}", API_CLIENT_OK, MADE},
        {"POST", "/connect", "{\"name\":\"two\",\"socket_type\":\"https\"}", API_CLIENT_REFUSED,
         "too many"},
        {"DELETE", "/socket/s1", NULL, API_CLIENT_OK, NULL});
    assert_int_equal(CONNECT("--file", (char *)home_path("file")), CLIENT_WRONG);
    finish(NULL);
}

static void test_without_a_login(void **state)
{
    FAKE_API({"GET", "/", NULL, 0, NULL});
    assert_int_equal(CONNECT("--port=80"), CLIENT_LOGIN);
    assert_non_null(strstr(captured.error, "--token"));
    fake_api.count = 0;
    finish(NULL);
}

static void test_answers_without_ids(void **state)
{
    keep_login();
    FAKE_API({"GET", "/socket", NULL, API_CLIENT_OK, "{\"sockets\":1}"},
             {"POST", "/connect", "{\"name\":\"box-80\",\"socket_type\":\"https\"}", API_CLIENT_OK,
              "{\"socket_id\":\"..\"}"});
    assert_int_equal(CONNECT("--port=80"), CLIENT_WRONG);
    finish(NULL);
}

int main(void)
{
#define IN_HOME(test) cmocka_unit_test_setup_teardown(test, begin, end)
    const struct CMUnitTest tests[] = {
        IN_HOME(test_a_socket_is_made_and_deleted),  IN_HOME(test_a_socket_that_is_there_stays),
        IN_HOME(test_a_socket_of_another_type),      IN_HOME(test_a_protected_one),
        IN_HOME(test_refused_at_the_second_service), IN_HOME(test_without_a_login),
        IN_HOME(test_answers_without_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
