/* Device tokens over the API. */
#include "api_rig.h"

static void test_create(void **state)
{
    ask("POST", "/token",
        "{\"name\":\"board\",\"egress_allow\":[\"192.0.2.0/24:443\",\"2001:db8::/32\"],"
        "\"egress_deny\":[],\"sockets\":[\"web\"],\"max_tunnels\":2,\"max_substreams\":64,"
        "\"bytes_per_second\":1000000,\"bytes_per_month\":5000000000,\"expires\":1900000000}");
    assert_int_equal(rig.status, 200);
    assert_int_equal(strlen(text_of("token")), ACCOUNT_SECRET_SIZE - 1);
    assert_string_equal(text_of("name"), "board");
    assert_int_equal(number_of("bytes_per_month"), 5000000000);
    const struct device_token *token = rig.accounts.tokens[0];
    assert_string_equal(token->egress_allow, "192.0.2.0/24:443,2001:db8::/32");
    assert_string_equal(token->egress_deny, "");
    assert_string_equal(token->sockets, "web");
    assert_int_equal(token->max_tunnels, 2);
    assert_int_equal(token->max_substreams, 64);
    assert_int_equal(token->bytes_per_second, 1000000);
    assert_int_equal(token->expires, 1900000000);
}

static void test_the_secret_is_shown_once(void **state)
{
    ask("POST", "/token", "{\"name\":\"board\",\"sockets\":[\"a b\",\"c\"]}");
    assert_int_equal(ask("GET", "/token", ""), 200);
    assert_int_equal(json_array_size(rig.json), 1);
    const json_t *token = json_array_get(rig.json, 0);
    assert_null(json_object_get(token, "token"));
    assert_null(strstr(rig.body, "sp_"));
    assert_true(json_is_null(json_object_get(token, "egress_allow")));
    assert_string_equal(json_string_value(json_array_get(json_object_get(token, "sockets"), 0)),
                        "a b");
    assert_int_equal(json_integer_value(json_object_get(token, "last_used")), 1700000001);
}

/* No list is every socket, an empty one none. */
static void test_which_sockets(void **state)
{
    ask("POST", "/token", "{\"name\":\"a\"}");
    assert_true(json_is_null(json_object_get(rig.json, "sockets")));
    assert_null(rig.accounts.tokens[0]->sockets);
    ask("POST", "/token", "{\"name\":\"a\",\"sockets\":[]}");
    assert_int_equal(json_array_size(json_object_get(rig.json, "sockets")), 0);
    assert_string_equal(rig.accounts.tokens[1]->sockets, "-");
}

static void test_values_that_can_not_be(void **state)
{
    static const struct {
        const char *values, *words;
    } cases[] = {
        {"\"x\":1", "name is missing"},
        {"\"name\":[]", "name must be a text"},
        {"\"name\":\"a\",\"egress_allow\":\"192.0.2.0/24\"", "egress_allow must be a list"},
        {"\"name\":\"a\",\"egress_deny\":[7]", "egress_deny must be a list of texts"},
        {"\"name\":\"a\",\"sockets\":{}", "sockets must be a list"},
        {"\"name\":\"a\",\"sockets\":[\"-\"]", "sockets can't hold"},
        {"\"name\":\"a\",\"max_tunnels\":\"2\"", "max_tunnels must be a number"},
        {"\"name\":\"a\",\"max_substreams\":-2", "max_substreams must be a number of 0 to"},
        {"\"name\":\"a\",\"bytes_per_second\":1.0", "bytes_per_second must be a number"},
        {"\"name\":\"a\",\"expires\":\"tomorrow\"", "expires must be a number"},
    };
    char body[256];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(body, sizeof body, "{%s}", cases[i].values);
        ask("POST", "/token", body);
        assert_error(422, "BAD_VALUE");
        assert_says(cases[i].words);
    }
    assert_int_equal(rig.accounts.token_count, 0);
}

static void test_what_accounts_refuse(void **state)
{
    static const struct {
        int error, status;
        const char *code;
    } cases[] = {{ACCOUNTS_BAD_SCOPE, 422, "BAD_SCOPE"},
                 {ACCOUNTS_LIMIT, 403, "TOO_MANY_TOKENS"},
                 {ACCOUNTS_STORE, 503, "STORE_FAILED"},
                 {ACCOUNTS_BUSY, 429, "BUSY"}};
    for (size_t i = 0; i < 4; i++) {
        rig.accounts.fail = cases[i].error;
        ask("POST", "/token", "{\"name\":\"a\"}");
        assert_error(cases[i].status, cases[i].code);
    }
}

static void test_revoke(void **state)
{
    char target[64];
    ask("POST", "/token", "{\"name\":\"a\"}");
    snprintf(target, sizeof target, "/token/%s", text_of("token_id"));
    fake_login_make(fake_account_add(&rig.accounts, "bob@b.test", ACCOUNT_ACTIVE), rig.login);
    ask("DELETE", target, "");
    assert_error(404, "NOT_FOUND");
    ask("GET", "/token", "");
    assert_string_equal(rig.body, "[]");
    fake_login_make(rig.ann, rig.login);
    rig.accounts.fail = ACCOUNTS_STORE;
    ask("DELETE", target, "");
    assert_error(503, "STORE_FAILED");
    assert_int_equal(ask("DELETE", target, ""), 204);
    assert_int_equal(ask("DELETE", target, ""), 404);
}

#define WITH_RIG(test_) cmocka_unit_test_setup_teardown(test_, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_RIG(test_create),
        WITH_RIG(test_the_secret_is_shown_once),
        WITH_RIG(test_which_sockets),
        WITH_RIG(test_values_that_can_not_be),
        WITH_RIG(test_what_accounts_refuse),
        WITH_RIG(test_revoke),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
