/* The API's frame: paths, methods, logins, bodies, and what becomes of open requests. */
#include "api_rig.h"

static void test_a_path_that_is_not_there(void **state)
{
    static const char *const paths[] = {
        "/",         "",           "socket",      "/sockets",
        "/socket/",  "/socket//x", "//socket",    "/socket/a/tunnel/",
        "/user/a/b", "/Socket",    "/socket/%zz", "/socket/%00",
        "/socket/%", "/socket/%4", "/admin/user"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        rig_begin("GET", paths[i], "", 0);
        rig_settle();
        if (rig.status != 404)
            fail_msg("%s: %d", paths[i], rig.status);
        assert_says("NOT_FOUND");
    }
}

static void test_a_method_that_a_path_does_not_take(void **state)
{
    ask("PATCH", "/socket", "");
    assert_error(405, "METHOD_NOT_ALLOWED");
    assert_string_equal(rig.head, "Allow: GET, HEAD, POST\r\n");
    ask("POST", "/socket/x", "");
    assert_error(405, "METHOD_NOT_ALLOWED");
    assert_string_equal(rig.head, "Allow: GET, HEAD, PUT, DELETE\r\n");
    ask("GET", "/login", "");
    assert_string_equal(rig.head, "Allow: POST\r\n");
    ask("get", "/socket", "");
    assert_error(405, "METHOD_NOT_ALLOWED");
    assert_int_equal(ask("HEAD", "/healthz", ""), 200);
}

static void test_what_the_operator_has_is_nobody_elses(void **state)
{
    size_t count;
    const struct api_route *routes = api_routes(&count);
    for (size_t i = 0; i < count; i++)
        if (routes[i].who == API_OPERATOR)
            assert_int_equal(ask(routes[i].method, routes[i].path, "{}"), 404);
    rig.is_operator = true;
    *rig.login = 0;
    assert_int_equal(ask("GET", "/admin/user", ""), 200);
}

static void test_every_route_of_an_account_needs_a_login(void **state)
{
    static const struct {
        const char *login, *code;
    } logins[] = {{"", "LOGIN_REQUIRED"},         {"expired", "LOGIN_EXPIRED"},
                  {"denied", "LOGIN_REVOKED"},    {"rubbish", "LOGIN_INVALID"},
                  {"login:9:0", "LOGIN_INVALID"}, {"login:1:7", "LOGIN_REVOKED"}};
    size_t count;
    const struct api_route *routes = api_routes(&count);
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; routes[i].who == API_ACCOUNT && j < 6; j++) {
            strcpy(rig.login, logins[j].login);
            ask(routes[i].method, routes[i].path, "{}");
            assert_error(401, logins[j].code);
            assert_string_equal(rig.head, "WWW-Authenticate: Bearer realm=\"streamplex\"\r\n");
        }
}

static void test_a_disabled_account(void **state)
{
    struct account next = *rig.ann;
    next.state = ACCOUNT_DISABLED;
    fake_account_replace(&rig.accounts, &next);
    ask("GET", "/socket", "");
    assert_error(401, "ACCOUNT_DISABLED");
}

static void test_a_body_that_is_too_large(void **state)
{
    size_t length = 1 << 20;
    char *body = malloc(length + 1);
    memset(body, 'x', length);
    body[length] = 0;
    ask_bytes("POST", "/socket", body, length);
    assert_error(413, "BODY_TOO_LARGE");
    /* The largest that is taken. */
    memset(body, ' ', API_BODY_MAX);
    memcpy(body, "{\"name\":\"a\"", 11);
    body[API_BODY_MAX - 1] = '}';
    assert_int_equal(ask_bytes("POST", "/socket", body, API_BODY_MAX), 200);
    assert_int_equal(ask_bytes("POST", "/socket", body, API_BODY_MAX + 1), 413);
    free(body);
}

static void test_a_body_of_another_type(void **state)
{
    static const char *const refused[] = {"application/x-www-form-urlencoded", "text/plain",
                                          "application/jsonp", "text/json;application/json"};
    static const char *const taken[] = {"application/json", "Application/JSON; charset=utf-8",
                                        "application/json;charset=utf-8"};
    for (size_t i = 0; i < 4; i++) {
        rig.content_type = refused[i];
        ask("POST", "/logout", "{}");
        assert_error(415, "NOT_JSON");
    }
    for (size_t i = 0; i < 3; i++) {
        rig.content_type = taken[i];
        assert_int_equal(ask("POST", "/logout", "{}"), 204);
    }
    /* Without a body its type is of nothing. */
    rig.content_type = "text/plain";
    assert_int_equal(ask("POST", "/logout", ""), 204);
}

static void test_a_body_that_is_not_json(void **state)
{
    static const char *const bodies[] = {"{",
                                         "[]",
                                         "null",
                                         "\"a\"",
                                         "1",
                                         "{}{}",
                                         "{} x",
                                         "{\"a\":1,}",
                                         "{'a':1}",
                                         "{\"a\":01}",
                                         "{\"a\":nan}",
                                         "\xff",
                                         "{\"a\":\"\xc3\"}",
                                         "{\"a\":\"\\ud800\"}",
                                         "{\"name\":\"\\u0000\"}",
                                         "{\"a\":1,\"a\":2}",
                                         "{\"a\":1e999}",
                                         "{\"a\":99999999999999999999}",
                                         "\xef\xbb\xbf{}",
                                         "{\"a\":\"\n\"}"};
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        ask("POST", "/socket", bodies[i]);
        assert_error(400, "BAD_JSON");
    }
    ask_bytes("POST", "/socket", "{\"a\":\0}", 7);
    assert_error(400, "BAD_JSON");
    ask_bytes("POST", "/socket", "{}\0", 3);
    assert_error(400, "BAD_JSON");
    ask("POST", "/socket", "{\"a\":1,\"a\":2}");
    assert_says("twice");
}

/* Each start of a good body is refused or is good itself: none is half-done. */
static void test_a_body_cut_anywhere(void **state)
{
    static const char body[] =
        "{\"name\":\"caf\xc3\xa9\",\"allow\":[\"192.0.2.0/24\"],\"rate\":12}";
    for (size_t length = 1; length < sizeof body - 1; length++) {
        char *exact = malloc(length + 1);
        memcpy(exact, body, length);
        exact[length] = 0;
        ask_bytes("POST", "/socket", exact, length);
        assert_error(400, "BAD_JSON");
        free(exact);
    }
    assert_int_equal(rig.host.count, 0);
    assert_int_equal(ask("POST", "/socket", body), 200);
}

static void test_deep_nesting(void **state)
{
    static char body[60001];
    memset(body, '[', 30000);
    memset(body + 30000, ']', 30000);
    ask("POST", "/socket", body);
    assert_error(400, "BAD_JSON");
    assert_says("nested");
    ask("POST", "/socket", "{\"name\":\"a\",\"x\":[[[[[[[1]]]]]]]}");
    assert_int_equal(rig.status, 200);
    ask("POST", "/socket", "{\"name\":\"b\",\"x\":[[[[[[[[1]]]]]]]]}");
    assert_error(400, "BAD_JSON");
    /* Brackets in a text are text. */
    ask("POST", "/socket", "{\"name\":\"[[[[[[[[[[\\\"{{{{{{{{{{\"}");
    assert_int_equal(rig.status, 200);
}

static void test_answers_keep_their_order_and_never_come_early(void **state)
{
    const struct api_request request = {.method = "GET",
                                        .path = "/healthz",
                                        .query = "",
                                        .token = "",
                                        .content_type = "",
                                        .body = ""};
    rig_clear();
    api_handle(rig.api, &request, rig_on_answer, &rig);
    assert_false(rig.is_answered);
    rig_settle();
    assert_true(rig.is_answered);
    assert_string_equal(rig.body, "{\"status\":\"ok\"}");
}

/* What a request waits for may take long: hashing, the store, the server, accounts. */
static void test_freed_with_requests_under_way(void **state)
{
    static const struct {
        const char *method, *path, *body;
    } requests[] = {
        {"POST", "/login", "{\"email\":\"ann@a.test\",\"password\":\"password\"}"},
        {"POST", "/socket", "{\"name\":\"a\"}"},
        {"POST", "/connect", "{\"name\":\"b\"}"},
        {"POST", "/token", "{\"name\":\"b\"}"},
        {"GET", "/admin/tunnel", ""},
        {"POST", "/socket",
         "{\"name\":\"c\",\"protected_socket\":true,\"protected_username\":\"u\","
         "\"protected_password\":\"p\"}"},
        {"GET", "/healthz", ""},
    };
    rig.is_operator = true;
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++)
        rig_begin(requests[i].method, requests[i].path, requests[i].body, strlen(requests[i].body));
    /* rig_teardown() frees; a callback that came nevertheless would use what is freed. */
}

static void test_a_store_that_can_not_be_read(void **state)
{
    char error[256];
    const struct api_options options = {API_OPEN, ""};
    const struct api_host host = fake_host_calls(&rig.host);
    struct api *api = NULL;
    rig.store.fail = "the disk is gone";
    assert_int_equal(
        api_new(rig.loop, &rig.accounts, &rig.store, &host, &options, &api, error, sizeof error),
        -1);
    assert_null(api);
    assert_string_equal(error, "the disk is gone");
}

static void test_healthz(void **state)
{
    *rig.login = 0;
    assert_int_equal(ask("GET", "/healthz", ""), 200);
    assert_string_equal(text_of("status"), "ok");
}

#define WITH_RIG(test_) cmocka_unit_test_setup_teardown(test_, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_RIG(test_a_path_that_is_not_there),
        WITH_RIG(test_a_method_that_a_path_does_not_take),
        WITH_RIG(test_what_the_operator_has_is_nobody_elses),
        WITH_RIG(test_every_route_of_an_account_needs_a_login),
        WITH_RIG(test_a_disabled_account),
        WITH_RIG(test_a_body_that_is_too_large),
        WITH_RIG(test_a_body_of_another_type),
        WITH_RIG(test_a_body_that_is_not_json),
        WITH_RIG(test_a_body_cut_anywhere),
        WITH_RIG(test_deep_nesting),
        WITH_RIG(test_answers_keep_their_order_and_never_come_early),
        WITH_RIG(test_freed_with_requests_under_way),
        WITH_RIG(test_a_store_that_can_not_be_read),
        WITH_RIG(test_healthz),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
