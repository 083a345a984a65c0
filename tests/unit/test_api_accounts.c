/* The API over real accounts, a real store and real hashing: one story. */
#include "accounts_test.h"

#include <jansson.h>

#include "control/api.h"
#include "fake_api_host.h"
#include "net/secret.h"

static struct api *api;
static struct fake_host host;
static char jwt[JWT_MAX];

struct reply {
    bool has_come;
    int status;
    json_t *json;
};

static struct reply reply;

static void on_reply(void *user, const struct api_answer *answer)
{
    reply.has_come = true;
    reply.status = answer->status;
    reply.json = json_loadb(answer->body, answer->body_length, 0, NULL);
}

static bool has_reply(void *user)
{
    return reply.has_come;
}

static int ask(const char *method, const char *path, const char *body)
{
    const struct api_request request = {.method = method,
                                        .path = path,
                                        .query = "",
                                        .token = jwt,
                                        .content_type = "application/json",
                                        .body = body,
                                        .body_length = strlen(body)};
    json_decref(reply.json);
    reply = (struct reply){0};
    api_handle(api, &request, on_reply, NULL);
    test_run_until(loop, has_reply, NULL);
    return reply.status;
}

static const char *text(const char *key)
{
    const char *value = json_string_value(json_object_get(reply.json, key));
    assert_non_null(value);
    return value;
}

static void log_in(const char *password)
{
    char body[128];
    snprintf(body, sizeof body, "{\"email\":\"ann@a.test\",\"password\":\"%s\"}", password);
    assert_int_equal(ask("POST", "/login", body), 200);
    snprintf(jwt, sizeof jwt, "%s", text("token"));
}

static int set_up_api(void **state)
{
    const struct api_options options = {API_OPEN, "https://api.test"};
    if (set_up_accounts(state) < 0)
        return -1;
    memset(&host, 0, sizeof host);
    *jwt = 0;
    host.loop = loop;
    const struct api_host calls = fake_host_calls(&host);
    return api_new(loop, accounts, store, &calls, &options, &api, error, sizeof error);
}

static int tear_down_api(void **state)
{
    json_decref(reply.json);
    reply.json = NULL;
    api_free(api);
    fake_host_deinit(&host);
    return tear_down_accounts(state);
}

static void test_the_life_of_an_account(void **state)
{
    char user[64], token[64];
    assert_int_equal(ask("POST", "/user",
                         "{\"name\":\"Ann\",\"email\":\"ann@a.test\",\"password\":\"password 1\"}"),
                     200);
    snprintf(user, sizeof user, "/user/%s", text("user_id"));
    assert_int_equal(ask("GET", user, ""), 401);
    assert_int_equal(
        ask("POST", "/login", "{\"email\":\"ann@a.test\",\"password\":\"password 2\"}"), 401);
    log_in("password 1");
    assert_int_equal(ask("GET", user, ""), 200);
    assert_string_equal(text("email"), "ann@a.test");
    assert_int_equal(ask("POST", "/token", "{\"name\":\"board\",\"max_tunnels\":2}"), 200);
    snprintf(token, sizeof token, "/token/%s", text("token_id"));
    assert_int_equal(strlen(text("token")), ACCOUNT_SECRET_SIZE - 1);
    assert_int_equal(ask("DELETE", token, ""), 204);
    assert_string_equal(revoked_token, token + 7);
    assert_int_equal(
        ask("PUT", user, "{\"password\":\"password 3\",\"current_password\":\"password 1\"}"), 200);
    assert_int_equal(ask("GET", user, ""), 401);
    log_in("password 3");
    assert_int_equal(ask("POST", "/logout", ""), 204);
    assert_int_equal(ask("GET", user, ""), 401);
    log_in("password 3");
    wall += 18001;
    assert_int_equal(ask("GET", user, ""), 401);
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(reply.json, "error"), "code")),
        "LOGIN_EXPIRED");
}

static void test_the_password_of_a_socket_is_hashed(void **state)
{
    assert_int_equal(ask("POST", "/user",
                         "{\"name\":\"Ann\",\"email\":\"ann@a.test\",\"password\":\"password 1\"}"),
                     200);
    log_in("password 1");
    assert_int_equal(ask("POST", "/socket",
                         "{\"name\":\"web\",\"protected_socket\":true,\"protected_username\":\"u\","
                         "\"protected_password\":\"opensesame\"}"),
                     200);
    const char *hash = host.sockets[0]->access->password_hash;
    assert_true(secret_verify_password("opensesame", hash));
    assert_false(secret_verify_password("opensesam", hash));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_life_of_an_account, set_up_api, tear_down_api),
        cmocka_unit_test_setup_teardown(test_the_password_of_a_socket_is_hashed, set_up_api,
                                        tear_down_api),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
